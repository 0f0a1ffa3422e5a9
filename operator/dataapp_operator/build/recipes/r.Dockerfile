# {{title}}: recipe {{recipe}} of dataapp-operator.
FROM {{base}} AS base
USER 0
ENV HOME=/tmp \
    LANG=C.UTF-8 \
    RENV_CONFIG_AUTOLOADER_ENABLED=FALSE
{{helpers}}
{{environment}}
WORKDIR /app
{{packages}}
USER 1000:1000
ENTRYPOINT ["tini", "--"]
CMD {{start}}
COPY --link --chown=0:0 . /app
