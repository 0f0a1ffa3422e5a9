#!/bin/sh
# Makes a bare Debian able to run the Makefile's targets: python3 (3.11 or newer) with venv, make, git, CA certificates,
# and uv. Prints the path of uv on standard output, and everything else on standard error. Does nothing that is done already.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${DATAAPP_LAB_CACHE:-$HOME/.cache/dataapp-lab}
version=$(sed -n '/^\[uv\]/,/^\[/s/^version *= *"\(.*\)".*/\1/p' "$here/versions.toml")
home=$cache/venvs/uv-$version

say() { echo "$*" >&2; }
fail() { say "bootstrap: $*"; exit 1; }

missing=
command -v python3 >/dev/null 2>&1 || missing="$missing python3"
command -v make >/dev/null 2>&1 || missing="$missing make"
command -v git >/dev/null 2>&1 || missing="$missing git"
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing="$missing ca-certificates"
# the machine's own Python makes the virtual environments, whichever python3 comes first in PATH
python=/usr/bin/python3
[ -x "$python" ] || python=python3
"$python" -c 'import ensurepip, venv' >/dev/null 2>&1 || missing="$missing python3-venv"

if [ -n "$missing" ]; then
  command -v apt-get >/dev/null 2>&1 || fail "these are missing and there is no apt-get to install them:$missing"
  [ "$(id -u)" = 0 ] || fail "these are missing; install them as root:  apt-get install$missing"
  say "bootstrap: installing from Debian:$missing (usually about 30 s)"
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  { apt-get update -q && apt-get install -y -q --no-install-recommends $missing; } >"$log" 2>&1 ||
    { tail -n 15 "$log" >&2; fail "apt-get could not install them; its output is in $log"; }
  rm -f "$log"
fi
[ -x /usr/bin/python3 ] && python=/usr/bin/python3
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "python3 is $(python3 -V 2>&1), 3.11 or newer is needed (Debian 12 or newer has it)."

if [ ! -e "$home/.whole" ]; then
  say "bootstrap: installing uv $version from PyPI into $cache (usually about 10 s)"
  mkdir -p "$cache/venvs"
  # two at once: the second waits, and then finds it whole
  exec 9>"$cache/.venvs.lock"
  if command -v flock >/dev/null 2>&1; then flock 9; fi
  if [ ! -e "$home/.whole" ]; then
    rm -rf "$home"
    "$python" -m venv "$home" >&2
    "$home/bin/pip" install --quiet --no-input --disable-pip-version-check --only-binary=:all: "uv==$version" >&2 ||
      fail "uv $version could not be installed from PyPI; see the lines above."
    : >"$home/.whole"
  fi
fi
echo "$home/bin/uv"
