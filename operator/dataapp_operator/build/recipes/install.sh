# Installs an app's packages into /opt/venv: install.sh requirements|lock|project [further options of uv]
#
# The platform's certificates (secret `ca`) are added to those of the base; its package index comes as the secret `index`
# or the argument PIP_INDEX_URL, and without either the public one is used.
set -eu
export UV_CACHE_DIR=/var/cache/uv UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1
kind=$1
shift
if [ -s /run/secrets/ca ]; then
  cat /etc/ssl/certs/ca-certificates.crt /run/secrets/ca > /tmp/ca-bundle.pem
  export SSL_CERT_FILE=/tmp/ca-bundle.pem
fi
if [ -s /run/secrets/index ]; then
  PIP_INDEX_URL=$(cat /run/secrets/index)
fi
if [ -n "${PIP_INDEX_URL:-}" ]; then
  export UV_DEFAULT_INDEX="$PIP_INDEX_URL"
fi
uv venv --quiet /opt/venv
case $kind in
requirements)
  uv pip install "$@" -r requirements.txt
  ;;
project)
  uv pip install "$@" -r pyproject.toml
  ;;
lock)
  if [ -n "${UV_DEFAULT_INDEX:-}" ]; then
    # uv.lock names the index it was made with: the same packages, by their hashes, from the platform's instead.
    uv export --quiet --frozen --no-dev --no-emit-project --no-emit-workspace --format requirements.txt -o /tmp/locked.txt
    uv pip install --require-hashes -r /tmp/locked.txt
    rm /tmp/locked.txt
  else
    UV_PROJECT_ENVIRONMENT=/opt/venv uv sync --frozen --no-dev --no-install-project --no-install-workspace
  fi
  ;;
esac
rm -f /tmp/ca-bundle.pem
