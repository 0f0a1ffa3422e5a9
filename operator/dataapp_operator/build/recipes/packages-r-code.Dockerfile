# No file says which packages are needed: the code itself is searched for them, at every change of it.
FROM base AS search
COPY . /app
RUN ["Rscript", "--vanilla", "/opt/dataapp/check.R", "/app", "/opt/dataapp/packages-found"]
FROM base
COPY --link --from=search /opt/dataapp/packages-found /opt/dataapp/
