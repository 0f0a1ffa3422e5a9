# The operator's image: Python, git (2.47 or newer, to read repositories with) and tini. Two layers matter: the
# dependencies of uv.lock, which seldom change, and our own code, which does; so a changed line of code builds, travels and
# starts in seconds. Both are byte-compiled, for a quick start.
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS tools
ARG UV=0.13.9
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir uv==${UV}
ENV PATH=/opt/uv/bin:${PATH} UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never
# The tool that packs our code is put in uv's cache here, so that packing needs no network.
RUN uv venv /opt/venv && uv pip install --target /tmp/unused hatchling
WORKDIR /src

# What we depend on, each at one version and hash. Most edits of pyproject.toml do not change this list.
FROM tools AS list
COPY pyproject.toml uv.lock ./
RUN uv export --quiet --frozen --no-dev --no-emit-project --no-header --output-file requirements.txt

FROM tools AS code
COPY pyproject.toml README.md ./
COPY operator ./operator
RUN uv pip install --offline --no-deps --python /opt/venv/bin/python3 --target /opt/dataapp-operator .

FROM ${BASE}
RUN (command -v tini && command -v git) \
 || (apt-get update && apt-get install -y --no-install-recommends git tini && rm -rf /var/lib/apt/lists/*)
COPY --from=list /src/requirements.txt /opt/
# uv comes and goes within this one step. Copying the installed packages from another stage instead would mean that every
# build reads all of them, only to find that they have not changed.
ARG UV=0.13.9
RUN python3 -m venv /tmp/uv && /tmp/uv/bin/pip install --no-cache-dir uv==${UV} \
 && /tmp/uv/bin/uv venv /opt/venv \
 && /tmp/uv/bin/uv pip install --no-cache --compile-bytecode --python /opt/venv --require-hashes -r /opt/requirements.txt \
 && rm -rf /tmp/uv
# A user that the system does not know has no name, and a library wants one for a default that is not used.
ENV PATH=/opt/dataapp-operator/bin:/opt/venv/bin:${PATH} \
    PYTHONPATH=/opt/dataapp-operator PYTHONUNBUFFERED=1 LANG=C.UTF-8 HOME=/tmp USER=dataapp-operator
USER 1000:1000
EXPOSE 8080
ENTRYPOINT ["tini", "--"]
CMD ["dataapp-operator"]
COPY --from=code /opt/dataapp-operator /opt/dataapp-operator
