#!/bin/sh
# The first container of a build pod: fetch the tar file of this build and unpack it into /work.
#
# Environment: CONTEXT_URL. Files: /run/builder/token (the token of this one build). The token never is an argument of a
# program: printf is built into the shell, and curl reads its configuration from standard input.
# Exit codes: 20 the operator has no such context (any more), 21 it did not answer, 22 the archive was broken.
set -eu
umask 022

ended() { # code sentence
  printf '%s\n' "$2" | tee /dev/termination-log
  exit "$1"
}

status=$(printf 'header = "Authorization: Bearer %s"\n' "$(cat /run/builder/token)" \
  | curl --config - --silent --show-error --noproxy '*' --proto =http,https --connect-timeout 5 --max-time 300 \
      --retry 60 --retry-delay 1 --retry-all-errors --retry-max-time 60 \
      --output /work/context.tar --write-out '%{http_code}' "$CONTEXT_URL") \
  || ended 21 "the operator did not answer at $CONTEXT_URL"
case "$status" in
  200) ;;
  401 | 403 | 404 | 410) ended 20 "the operator has no code for this build (HTTP $status)" ;;
  *) ended 21 "the operator answered HTTP $status" ;;
esac
tar --extract --file /work/context.tar --directory /work --no-same-owner --no-same-permissions \
  || ended 22 "the archive of the code cannot be unpacked"
rm -f /work/context.tar
[ -d /work/context ] || ended 22 "the archive of the code holds no context"
