"""What can be wrong with a repository: the files of every case, the reason that must be given, and words of the sentence.

Each is told apart by its name, which is also the name of its AppSource, of its DataApp or of its directory.
"""

import json
from typing import Any

from tests.harness.cluster import OUT, Json

KIND = {"apiVersion": "dataapps.dev/v1alpha1", "kind": "DataApp"}
BASE = json.loads((OUT / "images.json").read_text())["bases"]["python"] if (OUT / "images.json").exists() else ""
SERVER = '''
"""A page with a version."""
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = b"v1"


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/" else 404)
        self.send_header("Content-Length", str(len(VERSION)))
        self.end_headers()
        self.wfile.write(VERSION)


ThreadingHTTPServer(("", int(os.environ["DATAAPP_PORT"])), Page).serve_forever()
'''
DOCKERFILE = f"""FROM {BASE}
COPY server.py /app/server.py
USER 1000:1000
ENTRYPOINT ["tini", "--", "python3", "/app/server.py"]
"""
FASTAPI = "from fastapi import FastAPI\n\napp = FastAPI()\n"


def idle(name: str, **more: Any) -> str:
    """A manifest of an app that starts nothing: its first environment waits for a person."""
    image = f"{BASE.partition('@')[0]}@sha256:{'0' * 64}"
    waits = {"name": "sandbox", "promotion": {"mode": "manual"}}
    spec = {"image": image, "app": {"framework": "fastapi"}, "environments": [waits], **more}
    return json.dumps(KIND | {"metadata": {"name": name}, "spec": spec}, indent=1)


def huge_file() -> dict[str, bytes]:
    """200 MB in the directory of the app `huge`; packed it is small, or the lab's server would not take the push."""
    return {"code/huge/measured.csv": b"2026-11-22,Berlin,17.3\n" * (200 * 2**20 // 23 + 1)}


def bad(name: str, text: str) -> dict[str, str]:
    """A directory with code and this manifest."""
    return {f"bad/{name}/main.py": FASTAPI, f"bad/{name}/dataapp.yaml": text}


def yaml(name: str, *lines: str) -> str:
    """A manifest by hand; the lines begin with the fourth."""
    head = ["apiVersion: dataapps.dev/v1alpha1", "kind: DataApp", f"metadata: {{name: {name}}}"]
    return "\n".join([*head, *lines]) + "\n"


BOMB = [
    "spec:",
    "  a: &a [x, x, x, x, x, x, x, x]",
    *(f"  {n}: &{n} [{', '.join([f'*{m}'] * 8)}]" for m, n in zip("bcdefgh", "abcdefg", strict=True)),
]
# Below bad/: what stands in the manifest, and what is said of which line
MANIFESTS: dict[str, tuple[str, int | None, tuple[str, ...]]] = {
    "field": (
        yaml("field", "spec:", "  app: {framwork: fastapi}"), 5,
        ("there is no field spec.app.framwork", "did you mean spec.app.framework?"),
    ),
    "bomb": (yaml("bomb", *BOMB), 5, ("anchors (&a) are not allowed", "write the value out")),
    "twice": (yaml("twice", "spec: {}", "spec: {}"), 5, ("the key 'spec' is here twice", "the first is on line 4")),
    "secret": (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: git}\nstringData: {password: x}\n", 2,
        ("only objects of kind DataApp", "this is Secret (v1)"),
    ),
    "elsewhere": (
        "apiVersion: dataapps.dev/v1alpha1\nkind: DataApp\nmetadata:\n  name: elsewhere\n  namespace: kube-system\n", 5,
        ("not in kube-system: leave metadata.namespace out",),
    ),
    "command": (
        yaml("command").replace("}", ", annotations: {dataapps.dev/promote: x}}"), 3,
        ("dataapps.dev/promote cannot come from a repository", "a command given in the cluster"),
    ),
    "same-one": (yaml("same"), 1, ("the name same is used more than once", "also in bad/same-two/dataapp.yaml:1")),
    "same-two": (yaml("same"), 1, ("the name same is used more than once", "also in bad/same-one/dataapp.yaml:1")),
    "long": (yaml("long") + "# filler\n" * (5 * 2**20 // 9), None, ("the file has 5120 KiB", "a manifest has at most 1024")),
    "link": (yaml("link"), None, ("outside: a symbolic link, which an app may not have",)),
    "module": (yaml("module"), None, ("vendored: a submodule, which an app may not have",)),
}  # fmt: skip
# Apps that are applied, and whose code is no app: their files, the reason, the words
CODE: dict[str, tuple[dict[str, str], str, tuple[str, ...]]] = {
    "dash": ({"app.py": "import dash\napp = dash.Dash()\n"}, "UnsupportedFramework", ("Dash", "Dockerfile")),
    "two": (
        {"app.py": FASTAPI, "main.py": FASTAPI, "requirements.txt": "fastapi\nuvicorn\n"}, "Ambiguous",
        ("app.py", "main.py", "spec.build.entrypoint"),
    ),
    "huge": (
        {"main.py": FASTAPI, "requirements.txt": "fastapi\nuvicorn\n"}, "TooLarge",  # and `huge_file()`
        ("code/huge/measured.csv is 200 MiB", "the limit for a file is 100 MiB"),
    ),
    "bare": ({"main.py": FASTAPI}, "DependenciesMissing", ("main.py", "add a requirements.txt", "fastapi and uvicorn")),
}  # fmt: skip
# DataApps by hand, in the repository with all these mistakes: their path, the reason, the words
BY_HAND: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "hand-path": (
        "apps/prizes",
        "PathMissing",
        ("path apps/prizes is not in the repository", "the directory in apps is prices"),
    ),
    "hand-link": ("bad/link", "UnsafeTree", ("outside: a symbolic link",)),
    "hand-module": ("bad/module", "UnsafeTree", ("vendored: a submodule",)),
}
_ASK = "ask the platform team to add it to the allowed git hosts (sources.allowedHosts)"
# Repositories that cannot be read, by an AppSource or by an app itself: what is said of them, the reason, the words.
# {here} is the address of the repository with the apps, without .git
UNREADABLE: dict[str, tuple[Json, str, tuple[str, ...]]] = {
    "wrong-token": (
        {"secretRef": {"name": "wrong"}}, "AuthenticationFailed",
        ("git.lab.svc does not accept the credentials in the Secret",),
    ),
    "no-secret": (
        {"secretRef": {"name": "nowhere"}}, "CredentialMissing",
        ("there is no Secret nowhere in", "Create it: kubectl -n"),
    ),
    "no-authority": (
        {"secretRef": {"name": "no-authority"}}, "GitUnreachable",
        ("authority not known here", "as ca.crt to the Secret"),
    ),
    "no-branch": (
        {"ref": {"branch": "mian"}}, "RefNotFound",
        ("the branch mian is not in the repository", "it has the branch main"),
    ),
    "empty": ({"url": "{here}-empty.git"}, "EmptySource", ("is empty: it has no commit yet",)),
    "no-repository": ({"url": "{here}-not.git"}, "InvalidURL", ("there is no repository at", "check the address")),
    "redirected": ({"url": "{here}-redirected.git"}, "InvalidURL", ("to another address, where we do not follow",)),
    "address": ({"url": "https://169.254.169.254/x.git"}, "HostNotAllowed", ("is an address, not a name", _ASK)),
    "inside": (
        {"url": "https://kubernetes.default.svc/x.git"}, "HostNotAllowed",
        ("kubernetes.default.svc is a name inside the cluster", _ASK),
    ),
    "loopback": (
        {"url": "https://localhost/x.git"}, "HostNotAllowed",
        ("localhost is a name inside the cluster", _ASK),
    ),
}  # fmt: skip
TRANSIENT = frozenset({"GitUnreachable"})
"""Reasons that nobody need act on at once: it is tried again."""
