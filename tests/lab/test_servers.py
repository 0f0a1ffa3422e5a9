"""The servers beside the cluster, as pods and the lab meet them: the registry's two doors, and the git server.

The registry here is the real one. What a token allows is found out by doing it: pushing an image of one layer, piece by
piece as any client does, and pulling it again.
"""

import base64
import hashlib
import http.client
import json
import stat
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dataapp_operator.build.registry_token import token
from lab import lock, node_config, pki, services
from lab.context import CHECKOUT, Lab
from tests.harness.gitrepo import GitServer, Repo

pytestmark = pytest.mark.journey
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_OPEN, _GUARDED = "127.0.0.1:5000", "10.251.0.1:5000"


@pytest.fixture(scope="module")
def lab() -> Lab:
    here = Lab.here()
    owner = lock.owner()
    if owner is None or not owner.is_of(here):
        pytest.skip("the lab of this checkout is not up: make lab-up")
    return here


@dataclass(frozen=True)
class Door:
    """One of the registry's addresses, with a token or without."""

    address: str
    token: str | None = None

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = "application/octet-stream"):
        """(status, headers, body) of a request."""
        connection = http.client.HTTPConnection(self.address, timeout=30)
        headers = {"Content-Type": kind, "Accept": _MANIFEST}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.headers, content

    def push(self, name: str, content: bytes) -> tuple[int, str]:
        """Push an image that holds these bytes; (last status, digest of the manifest). Stops at the first refusal."""
        layer = self._push_blob(name, content)
        config = self._push_blob(name, b'{"architecture":"amd64","os":"linux"}')
        if not layer or not config:
            return 401, ""
        manifest = json.dumps(
            {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": [layer]}
        ).encode()
        digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        return self.ask("PUT", f"/v2/{name}/manifests/{digest}", manifest, _MANIFEST)[0], digest

    def _push_blob(self, name: str, content: bytes) -> dict[str, object] | None:
        status, headers, _ = self.ask("POST", f"/v2/{name}/blobs/uploads/")
        if status != 202:
            assert status in (401, 403)
            return None
        where = headers["Location"].partition(self.address)[2]
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        assert self.ask("PUT", f"{where}{'&' if '?' in where else '?'}digest={digest}", content)[0] == 201
        kind = (
            "application/vnd.oci.image.layer.v1.tar"
            if len(content) > 100
            else "application/vnd.oci.image.config.v1+json"
        )
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    def pull(self, name: str, digest: str) -> bytes | int:
        """The first layer of an image, or the status of the refusal."""
        status, _, manifest = self.ask("GET", f"/v2/{name}/manifests/{digest}")
        if status != 200:
            return status
        status, _, content = self.ask("GET", f"/v2/{name}/blobs/{json.loads(manifest)['layers'][0]['digest']}")
        return content if status == 200 else status


def _door(lab: Lab, **changes) -> Door:
    """The guarded door with a token for one build."""
    asked = {
        "push": ["analytics/sales"], "pull": ["base/granted"], "now": datetime.now(UTC),
        "lifetime": timedelta(minutes=5), "issuer": node_config.REGISTRY_ISSUER, "service": node_config.REGISTRY_SERVICE,
        "key_pem": pki.key(lab, pki.REGISTRY).read_text(), "certificate_pem": pki.cert(lab, pki.REGISTRY).read_text(),
    }  # fmt: skip
    return Door(_GUARDED, token(**{**asked, **changes}))


@pytest.fixture
def content() -> bytes:
    return uuid.uuid4().bytes * 64


@pytest.fixture
def bases(lab, content) -> Iterator[dict[str, str]]:
    """Two base images, pushed as the lab pushes: (name, digest)."""
    pushed = {name: Door(_OPEN).push(name, content) for name in ("base/granted", "base/other")}
    assert {status for status, _ in pushed.values()} == {201}
    yield {name: digest for name, (_, digest) in pushed.items()}
    for name, (_, digest) in pushed.items():
        Door(_OPEN).ask("DELETE", f"/v2/{name}/manifests/{digest}")


def test_a_build_pushes_to_its_own_app_and_pulls_what_it_was_granted(lab, bases, content):
    build = _door(lab)
    status, digest = build.push("analytics/sales", content)
    assert status == 201
    assert build.pull("analytics/sales", digest) == content
    assert Door(_OPEN).pull("analytics/sales", digest) == content, "both doors lead to the same images"
    assert build.pull("base/granted", bases["base/granted"]) == content
    Door(_OPEN).ask("DELETE", f"/v2/analytics/sales/manifests/{digest}")


def test_a_build_gets_nowhere_else(lab, bases, content):
    build = _door(lab)
    assert build.push("other/app", content)[0] in (401, 403)
    assert build.push("analytics/sales2", content)[0] in (401, 403)
    assert build.push("base/granted", content)[0] in (401, 403), "what may be pulled may not be pushed"
    assert build.pull("base/other", bases["base/other"]) in (401, 403)
    assert build.ask("DELETE", f"/v2/base/granted/manifests/{bases['base/granted']}")[0] in (401, 403)
    assert build.ask("GET", "/v2/_catalog")[0] in (401, 403)
    mount = f"/v2/analytics/sales/blobs/uploads/?mount=sha256:{hashlib.sha256(content).hexdigest()}&from=base/other"
    assert build.ask("POST", mount)[0] in (202, 401, 403), "a layer is not taken over from a repository that is closed"


def test_without_a_token_or_with_a_bad_one_nothing_is_answered(lab, bases, content):
    strange = GuardedPair.make(lab)
    for door in (
        Door(_GUARDED),
        Door(_GUARDED, "e30.e30.e30"),
        _door(lab, now=datetime.now(UTC) - timedelta(hours=2)),
        _door(lab, issuer="somebody"),
        _door(lab, service="another-registry"),
        _door(lab, key_pem=strange.key, certificate_pem=strange.certificate),
    ):
        assert door.ask("GET", "/v2/")[0] == 401
        assert door.pull("base/granted", bases["base/granted"]) == 401
        assert door.push("analytics/sales", content)[0] == 401


@dataclass(frozen=True)
class GuardedPair:
    """A key and certificate that the registry has never seen."""

    key: str
    certificate: str

    @classmethod
    def make(cls, lab: Lab) -> "GuardedPair":
        """The git authority's: a real pair, but not the registry's."""
        return cls(pki.key(lab, pki.GIT_CA).read_text(), pki.cert(lab, pki.GIT_CA).read_text())


_IN_A_POD = """
import base64, json, os, ssl, urllib.error, urllib.request
def ask(url, login=None):
    tls = ssl.create_default_context(cafile="/secret/ca.crt")
    headers = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()} if login else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10, context=tls) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
read = lambda name: open("/secret/" + name).read()
print(json.dumps({
    "registry": ask("http://registry.lab.svc:5000/v2/"),
    "nobody": ask(os.environ["URL"]),
    "team": ask(os.environ["URL"], read("username") + ":" + read("password")),
}))
"""


def test_pods_reach_both_by_name(lab):
    server = GitServer.of_lab()
    repo = Repo(server, "lab-tests", "from-a-pod")
    repo.commit({"app.py": "print(1)\n"})
    repo.push()
    name = f"servers-{uuid.uuid4().hex[:6]}"
    image = json.loads((CHECKOUT / "build" / "lab" / "images.json").read_text())["operator"]
    env = [{"name": "URL", "value": f"{repo.url}/info/refs?service=git-upload-pack"}]
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "dataapp-lab"},
        "spec": {
            "restartPolicy": "Never", "automountServiceAccountToken": False,
            "containers": [{"name": "ask", "image": image, "command": ["python", "-c", _IN_A_POD], "env": env,
                            "volumeMounts": [{"name": "secret", "mountPath": "/secret"}]}],
            "volumes": [{"name": "secret", "secret": {"secretName": name}}],
        },
    }  # fmt: skip
    objects = {"apiVersion": "v1", "kind": "List", "items": [repo.secret_manifest("dataapp-lab", name), pod]}
    try:
        lab.kubectl("apply", "-f", "-", stdin=json.dumps(objects))
        done = "--for=jsonpath={.status.phase}=Succeeded"
        lab.kubectl("-n", "dataapp-lab", "wait", done, f"pod/{name}", "--timeout=90s", check=False)
        told = lab.kubectl("-n", "dataapp-lab", "logs", name, check=False)
        assert json.loads(told or "{}") == {"registry": 401, "nobody": 401, "team": 200}, told
    finally:
        lab.kubectl("-n", "dataapp-lab", "delete", "pod,secret", name, "--ignore-not-found", "--grace-period=1")
        repo.delete()
        repo.close()


def test_a_person_makes_a_repository_and_clones_it_as_told(lab, tmp_path):
    argv = [sys.executable, "-m", "lab", "git", "lab-tests", "by-hand"]
    told = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    place = services.git_place(lab)
    command = next(line for line in told.splitlines() if " git clone " in line)
    done = subprocess.run(["sh", "-c", f"{command} here"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "here" / ".git").is_dir()
    assert place.password("lab-tests") not in told
    place.remove("lab-tests", "by-hand")


def test_what_is_published_is_private(lab):
    published = lab.out / "git.json"
    assert stat.S_IMODE(published.stat().st_mode) == 0o600
    place = GitServer.of_lab().place
    assert place == services.git_place(lab)
    assert stat.S_IMODE(Path(place.teams).stat().st_mode) == 0o700


def test_the_operator_has_the_key_that_the_registry_trusts(lab):
    path = "jsonpath={.data.tls\\.crt}"
    words = ["-n", "dataapp-system", "get", "secret", "dataapp-operator-registry", "--ignore-not-found", "-o", path]
    found = lab.kubectl(*words)
    if not found:
        pytest.skip("the lab was not raised to the stage operator: make lab-up")
    assert base64.b64decode(found) == pki.cert(lab, pki.REGISTRY).read_bytes()
