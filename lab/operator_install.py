"""Stage `operator`: the operator from its chart, installed as a user would install it, and two environment classes.

The custom resource definitions are applied first, each time, because helm installs them once and never changes them
again. Images are named by digest, so that what runs is what this checkout built. Where the lab has its own registry and
git server, the operator gets the key that the registry trusts, and builds.
"""

import json
from typing import Any

from lab import pki, workload
from lab.context import Lab

NAMESPACE = "dataapp-system"
NAME = "dataapp-operator"
TOKEN_SECRET = "dataapp-operator-registry"  # noqa: S105  a name
GIT_HOST = "git.lab.svc"
_NAMESPACE_MANIFEST = f"""
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels: {{pod-security.kubernetes.io/enforce: restricted}}
"""


def run(lab: Lab) -> None:
    """Have the operator of this checkout running in the cluster; safe to repeat."""
    _definitions(lab)
    _apply(lab, _NAMESPACE_MANIFEST)
    _token_key(lab)
    with lab.step("the operator, from its chart", 10):
        _forget_interrupted(lab)
        _chart(lab)
        workload.wait_available(lab, namespace=NAMESPACE, name=NAME, seconds=120)
    _apply(lab, (lab.checkout / "lab" / "manifests" / "environment-classes.yaml").read_text())


def _apply(lab: Lab, manifest: str) -> None:
    lab.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest)


def _definitions(lab: Lab) -> None:
    """Our custom resource definitions as they are in this checkout, established."""
    told = lab.kubectl("apply", "--server-side", "--force-conflicts", "-o", "name", "-f", str(lab.checkout / "crds"))
    lab.kubectl("wait", "--for=condition=Established", "--timeout=60s", *told.split())


def _chart(lab: Lab) -> None:
    """Install or upgrade the release to this checkout's chart and images."""
    refs = json.loads((lab.out / "images.json").read_text())
    values = []
    for value, ref in (("image", refs["operator"]), ("frontImage", refs["front"])):
        repository, _, digest = ref.partition("@")
        values += ["--set-string", f"{value}.repository={repository}", "--set-string", f"{value}.digest={digest}"]
    # The lab kills its operator often: its successors need not wait as long as on a cluster that people rely on.
    values += ["--set", "leaseSeconds=12"]
    if _chart_builds(lab) and _has_token_key(lab):
        values += _build_values(lab, refs)
    _helm(
        lab, "upgrade", NAME, str(lab.checkout / "charts" / "dataapp-operator"),
        "--install", "--skip-crds", "--reset-values", "--history-max=3", *values,
    )  # fmt: skip


def _token_key(lab: Lab) -> None:
    """Give the operator the key that the registry trusts; in a cluster of one's own that is its owner's business."""
    if lab.provider != "native":
        return
    pair = {"tls.crt": pki.cert(lab, pki.REGISTRY).read_text(), "tls.key": pki.key(lab, pki.REGISTRY).read_text()}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": TOKEN_SECRET, "namespace": NAMESPACE},
        "type": "kubernetes.io/tls",
        "stringData": pair,
    }
    _apply(lab, json.dumps(secret))


def _has_token_key(lab: Lab) -> bool:
    words = ["-n", NAMESPACE, "get", "secret", TOKEN_SECRET, "--ignore-not-found", "-o", "name"]
    return bool(lab.kubectl(*words).strip())


def _chart_builds(lab: Lab) -> bool:
    values = lab.checkout / "charts" / "dataapp-operator" / "values.yaml"
    return any(line.startswith("builds:") for line in values.read_text().splitlines())


def _build_values(lab: Lab, refs: dict[str, Any]) -> list[str]:
    """What the chart has to know to build: the registry and its tokens, the images it needs, the git server.

    Builds stay off as long as the builder's image, or every base to build on, is missing.
    """
    words = ["--set", f"sources.allowedHosts={{{GIT_HOST}}}"]
    bases = {name: ref for name, ref in refs.get("bases", {}).items() if ref}
    if not refs.get("builder") or not bases:
        return words
    repository, _, digest = refs["builder"].partition("@")
    texts = {
        "builds.registry.host": lab.registry_name,
        "builds.registry.tokenSecret": TOKEN_SECRET,
        "builds.builderImage.repository": repository,
        "builds.builderImage.digest": digest,
        **{f"builds.bases.{language}": ref for language, ref in bases.items()},
    }
    words += ["--set", "builds.enabled=true", "--set", "builds.registry.insecure=true"]
    return words + [word for name, value in texts.items() for word in ("--set-string", f"{name}={value}")]


def _forget_interrupted(lab: Lab) -> None:
    """Remove helm's note of an operation that was killed half-way; helm refuses every other until it is gone.

    Only the note goes: what the operation had created already carries the release's name, and is adopted by the next.
    """
    selector = f"owner=helm,name={NAME},status in (pending-install,pending-upgrade,pending-rollback)"
    lab.kubectl("-n", NAMESPACE, "delete", "secret", "-l", selector, "--ignore-not-found")


def _helm(lab: Lab, *args: str) -> str:
    """Run helm in the operator's namespace, with its own files in our cache rather than in the user's home."""
    home = lab.cache / "helm"
    places = {f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    options = ["--kubeconfig", str(lab.kubeconfig), "--namespace", NAMESPACE]
    return lab.run([lab.binary("helm"), *args, *options], log="helm", env=places)
