# One Shiny for R app: its directory, on top of Debian's R and its shiny package.
#
# It runs as an ordinary user with nothing writable but /tmp. tini is process 1, because a program that is process 1
# ignores SIGTERM unless it asks for it. The UTF-8 locale keeps the quotation marks of R's messages.
ARG BASE=debian:trixie-slim
FROM ${BASE}
RUN command -v Rscript || (apt-get update && apt-get install -y --no-install-recommends r-base-core r-cran-shiny tini && rm -rf /var/lib/apt/lists/*)
ENV HOME=/tmp LANG=C.UTF-8
WORKDIR /app
USER 1000:1000
EXPOSE 3838
ENTRYPOINT ["tini", "--"]
CMD ["Rscript", "-e", "shiny::runApp('/app', host = '0.0.0.0', port = 3838, launch.browser = FALSE)"]
COPY . /app/
