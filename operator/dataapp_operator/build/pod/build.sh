#!/bin/sh
# The main container of a build pod: BuildKit without root makes the image, pushes it, and leaves its digest.
#
# Environment (values only, never part of this text):
#   IMAGE        repository:tag to push to, e.g. registry.example.org/team/sales:sales-1a2b3c4d
#   CACHE        repository:tag of the layer cache, e.g. registry.example.org/team/sales:cache   (empty: no cache)
#   RECIPE       the directory of the Dockerfile (default /work/recipe; /work/context for a repository's own)
#   DOCKERFILE   its path below that directory (default Dockerfile)
#   TARGET       optional: the stage of a repository's own Dockerfile
#   ATTEST       optional: "min" or "max" for a provenance attestation (makes the pushed image an index)
#   BUILD_SECONDS       how long the build may take (default 1500). The Job's activeDeadlineSeconds has to be a good deal
#                more: when that one strikes, the pod is deleted and its log with it.
#   SOURCE_DATE_EPOCH   optional: the commit's time in seconds, becomes the image's creation time
# Files: /work/context, /work/recipe (from the first container), /etc/builder/buildkitd.toml,
#   /etc/builder/ca.crt and /etc/builder/index, if any: the platform's certificates and its package index for steps of a
#   Dockerfile that ask for the secrets `ca` and `index`;
#   DOCKER_CONFIG=/run/builder with config.json (`registrytoken` of this build).
#   Do not set BUILDKIT_NO_CLIENT_TOKEN: a `registrytoken` is handed out only by client-side tokens.
# Result: /dev/termination-log holds `sha256:…` and nothing else. Exit codes: 0; 30 BuildKit did not start; 31 no digest;
#   32 a name that is none; 33 BuildKit was killed while it built (memory, most often); 124 BUILD_SECONDS are over; 143 told
#   to stop; 137 killed. Anything else is buildctl's own: 1 for every failed build, with the reason at the end of the log.
set -eu
runtime=${XDG_RUNTIME_DIR:-/run/user/1000}
address=unix://$runtime/buildkit/buildkitd.sock
export BUILDKIT_HOST="$address" BUILDKIT_COLORS='' NO_COLOR=1
mkdir -p "$runtime/buildkit"

# The daemon lives and dies with this script. Its log is of use only if it does not start.
rootlesskit buildkitd --config /etc/builder/buildkitd.toml --addr "$address" > /tmp/buildkitd.log 2>&1 &
daemon=$!
stop() { kill "$daemon" 2> /dev/null || true; }
trap stop EXIT
trap 'exit 143' TERM INT
tries=0
until [ -S "$runtime/buildkit/buildkitd.sock" ]; do
  tries=$((tries + 1))
  if [ "$tries" -gt 600 ] || ! kill -0 "$daemon" 2> /dev/null; then
    echo "builder: BuildKit did not start" >&2
    tail -n 20 /tmp/buildkitd.log >&2
    exit 30
  fi
  sleep 0.05
done

# Words are added one by one, so a value is one word whatever is in it. A comma or a line break in IMAGE or CACHE would
# start another attribute of an output: the operator makes these names itself, and they are checked all the same.
for name in "$IMAGE" "${CACHE:-}"; do
  case "$name" in *[!a-z0-9A-Z._/:@-]*) echo "builder: not an image name: $name" >&2; exit 32 ;; esac
done
set -- build --progress=plain \
  --frontend dockerfile.v0 --opt cmdline=built-in \
  --local context=/work/context --local "dockerfile=${RECIPE:-/work/recipe}" --opt "filename=${DOCKERFILE:-Dockerfile}" \
  --output "type=image,name=$IMAGE,push=true,oci-mediatypes=true,compression=zstd,compression-level=1" \
  --metadata-file /tmp/metadata.json
for secret in ca.crt index; do
  if [ -s "/etc/builder/$secret" ]; then set -- "$@" --secret "id=${secret%.crt},src=/etc/builder/$secret"; fi
done
if [ -n "${TARGET:-}" ]; then set -- "$@" --opt "target=$TARGET"; fi
if [ -n "${ATTEST:-}" ]; then set -- "$@" --opt "attest:provenance=mode=$ATTEST"; fi
if [ -n "${SOURCE_DATE_EPOCH:-}" ]; then set -- "$@" --opt "build-arg:SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH"; fi
if [ -n "${CACHE:-}" ]; then
  set -- "$@" --import-cache "type=registry,ref=$CACHE" \
    --export-cache "type=registry,ref=$CACHE,mode=max,image-manifest=true,oci-mediatypes=true,compression=zstd,compression-level=1,ignore-error=true"
fi
code=0
# --foreground: one process group, so that `tini -g` reaches all of it.
timeout --foreground --kill-after=10 "${BUILD_SECONDS:-1500}" buildctl "$@" 2>&1 || code=$?
if [ "$code" -ne 0 ]; then
  if [ "$code" -eq 124 ]; then echo "builder: stopped after ${BUILD_SECONDS:-1500} seconds"; fi
  # rootlesskit outlives a killed buildkitd by a moment, so the daemon is asked, not its process.
  if ! timeout 5 buildctl debug workers > /dev/null 2>&1; then
    echo "builder: BuildKit itself has ended; its last words:"
    tail -n 5 /tmp/buildkitd.log
    if [ "$code" -eq 1 ]; then code=33; fi
  fi
  exit "$code"
fi

digest=$(sed -n 's/.*"containerimage\.digest": *"\(sha256:[0-9a-f]\{64\}\)".*/\1/p' /tmp/metadata.json)
case "$digest" in sha256:*) ;; *) echo "builder: BuildKit named no digest" >&2; exit 31 ;; esac
printf '%s' "$digest" > /dev/termination-log
echo "builder: pushed $digest"
