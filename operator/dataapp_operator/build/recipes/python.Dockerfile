# {{title}}: recipe {{recipe}} of dataapp-operator.
FROM {{base}}
USER 0
ENV HOME=/tmp \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PATH=/opt/venv/bin:${PATH} \
    VIRTUAL_ENV=/opt/venv
ARG PIP_INDEX_URL
{{helpers}}
# The packages, from the files that name them and nothing else: a change of code installs nothing.
WORKDIR /opt/dataapp/packages
{{packages}}
{{environment}}
WORKDIR /app
USER 1000:1000
ENTRYPOINT ["tini", "--"]
CMD {{start}}
COPY --link --chown=0:0 . /app
