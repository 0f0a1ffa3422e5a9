COPY --link --chown=0:0 --parents requirements*.txt constraints*.txt requirements/*.txt ./
RUN --mount=type=cache,id=uv,target=/var/cache/uv --mount=type=secret,id=ca --mount=type=secret,id=index \
    ["sh", "/opt/dataapp/install.sh", "requirements"{{arguments}}]
