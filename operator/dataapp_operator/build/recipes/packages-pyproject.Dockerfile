COPY --link --chown=0:0 pyproject.toml ./
RUN --mount=type=cache,id=uv,target=/var/cache/uv --mount=type=secret,id=ca --mount=type=secret,id=index \
    ["sh", "/opt/dataapp/install.sh", "project"{{arguments}}]
