"""Builds that fail, each for a reason of its own: told apart, told to people, and without harm to what runs.

One repository holds them all. Three of its apps have an earlier release when their code breaks; the others are broken
from their first commit; one is healthy and loses its pod. So what the bad ones do to each other, and to the good ones
beside them, is seen as well.

How the costly ones are made cheap: a disk is filled with one `fallocate`, which takes the blocks and writes nothing; the
time of a build is made to be over by the very signal that its own timer sends.
"""

import base64
import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.harness.cluster import GATEWAY, OUT, Json, Kube, condition
from tests.harness.commits import Committed, below

pytestmark = [pytest.mark.journey, pytest.mark.builds]

BUILDS = "dataapp-builds"
REGISTRY = "10.251.0.1:5000"
"""The registry's door for pods."""
IMAGES = json.loads((OUT / "images.json").read_text()) if (OUT / "images.json").exists() else {"bases": {}, "apps": {}}
BASE = IMAGES["bases"].get("python", "")
THEIRS = IMAGES["apps"].get("streamlit-v1", "")
"""An image of another team in the same registry."""
NO_SUCH = f"{BASE.partition('@')[0]}:no-such-tag"

SERVER = """\
import http.server, json, os
class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        about = {"openapi": "3.1.0", "info": {"title": "VERSION", "version": "1"}, "paths": {"/": {}}}
        body = json.dumps(about).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("", int(os.environ["DATAAPP_PORT"])), App).serve_forever()
"""
SPY = """\
import glob, json, os, ssl, urllib.error, urllib.request
def ask(url, method="GET"):
    try:
        request = urllib.request.Request(url, method=method)
        tls = ssl._create_unverified_context()
        return urllib.request.urlopen(request, timeout=10, context=tls).status
    except urllib.error.HTTPError as error:
        return error.code
def read(path):
    try:
        return bool(open(path).read())
    except OSError:
        return False
roots = ["", *glob.glob("/proc/[0-9]*/root")]
api = "https://kubernetes.default.svc"
told = {
    "account": any(read(root + "/var/run/secrets/kubernetes.io/serviceaccount/token") for root in roots),
    "for-code": any(read(root + "/run/builder/token") for root in roots),
    "for-push": any(read(root + "/run/builder/config.json") for root in roots),
    "variables": sorted(name for name in os.environ if "TOKEN" in name or "DATAAPP" in name),
    "builds": ask(api + "/api/v1/namespaces/dataapp-builds/secrets"),
    "apps": ask(api + "/apis/dataapps.dev/v1alpha1/dataapps"),
    "their-image": ask("http://registry.lab.svc:5000/v2/apps/streamlit-v1/tags/list"),
    "their-push": ask("http://registry.lab.svc:5000/v2/apps/streamlit-v1/blobs/uploads/", "POST"),
    "their-code": ask("http://dataapp-operator-sources.dataapp-system.svc:8081/builds/any/any-12345678/context.tar"),
}
print("SPY " + json.dumps(told), flush=True)
raise SystemExit(3)
"""
FASTAPI = "from fastapi import FastAPI\n\napp = FastAPI()\n"
SHINY = 'library(shiny)\n\nshinyApp(fluidPage("a"), function(input, output, session) {})\n'
END_OF_TIME = """
for process in /proc/[0-9]*; do
  if [ "$(cat $process/comm)" = timeout ]; then kill -ALRM ${process#/proc/}; fi
done
"""


def dockerfile(*steps: str, version: str = "v1") -> dict[str, str]:
    """An app that brings its own image, with further steps in its Dockerfile."""
    lines = [f"FROM {BASE}", "USER 0", *steps, "WORKDIR /app", "COPY serve.py /app/", "USER 1000:1000"]
    lines += ['ENTRYPOINT ["tini", "--"]', 'CMD ["python3", "/app/serve.py"]']
    return {"Dockerfile": "\n".join(lines) + "\n", "serve.py": SERVER.replace("VERSION", version)}


@dataclass(frozen=True)
class Trouble:
    """An app, what breaks it, and what has to be said about it."""

    app: str
    files: dict[str, str]
    reason: str
    says: tuple[str, ...]
    next_step: str
    log: str = ""
    """What is among the last lines of the log."""
    own: bool = True
    """It brings a Dockerfile."""
    gone: tuple[str, ...] = field(default=())
    """Files of the earlier release that are not there any more."""

    def spec(self) -> Json:
        """What its manifest says beside the environment."""
        build: Json = {"build": {"dockerfile": "Dockerfile"}} if self.own else {}
        framework = "shiny-r" if "app.R" in self.files else "fastapi"
        return {**build, "app": {"framework": framework, "resources": {"cpu": "20m", "memory": "96Mi"}}}


LATER = (
    Trouble(
        "package",
        {"main.py": FASTAPI, "requirements.txt": "fastapi==0.165.0\nuvicorn==0.54.0\ndataapp-no-such-package==1.0.0\n"},
        "PackageNotFound",
        ("requirements.txt asks for dataapp-no-such-package; the package index has no such package",),
        "Correct the package's name or version in requirements.txt, and push.",
        log="dataapp-no-such-package was not found",
        own=False,
        gone=("Dockerfile", "serve.py"),
    ),
    Trouble(
        "syntax",
        dockerfile("RUNN echo hello"),
        "DockerfileInvalid",
        ("Dockerfile line 3: unknown instruction: RUNN",),
        "Correct Dockerfile at the line that is named, and push.",
        log="RUNN",
    ),
    Trouble(
        "hangs",
        dockerfile("RUN echo waiting for the moon && sleep 3600"),
        "BuildTimedOut",
        ("was ended (the last step that it began was `RUN echo waiting for the moon && sleep 3600`)",),
        "Look at the last lines for the step that took so long.",
        log="waiting for the moon",
    ),
)
"""Break after they had a release."""
AT_ONCE = (
    Trouble(
        "memory",
        dockerfile("RUN python3 -c \"text = b'x' * (3 << 30)\""),
        "BuildOutOfMemory",
        ("the step `python3 -c \"text = b'x' * (3 << 30)\"` needed more memory than it may have",),
        "ask the platform team for more memory for builds",
        log="text = b'x'",
    ),
    Trouble(
        "version",
        {"main.py": FASTAPI, "requirements.txt": "fastapi==99.0.0\nuvicorn==0.54.0\n"},
        "PackageNotFound",
        ("requirements.txt asks for fastapi==99.0.0; the package index has no such version",),
        "Correct the package's name or version in requirements.txt, and push.",
        log="fastapi==99.0.0",
        own=False,
    ),
    Trouble(
        "locked",
        {
            "app.R": SHINY,
            "renv.lock": json.dumps(
                {"R": {"Version": "4.5.0"}, "Packages": {"shiny": {"Package": "shiny", "Version": "99.0.0"}}}
            ),
        },
        "PackageNotFound",
        ("renv.lock asks for shiny 99.0.0; the base image has 1.",),
        "Correct the package's name or version in renv.lock, and push.",
        log="renv.lock asks for shiny 99.0.0",
        own=False,
    ),
    Trouble(
        "bound",
        {"app.R": SHINY, "DESCRIPTION": "Type: Shiny\nTitle: Bound\nVersion: 1.0\nImports:\n    shiny (>= 99.0)\n"},
        "PackageNotFound",
        ("DESCRIPTION asks for shiny (>= 99.0); the base image has 1.",),
        "Correct the package's name or version in DESCRIPTION, and push.",
        log="DESCRIPTION asks for shiny",
        own=False,
    ),
    Trouble(
        "disk",
        dockerfile("RUN echo filling && fallocate -l 11G /data && sleep 600"),
        "BuildDiskFull",
        ("needed more disk than it may have",),
        "ask the platform team for more disk for builds",
    ),
    Trouble(
        "nobase",
        {**dockerfile(), "Dockerfile": f"FROM {NO_SUCH}\n"},
        "BaseImageMissing",
        (NO_SUCH, "the registry does not have it", "name one that there is in FROM"),
        "FROM",
        log="no-such-tag",
    ),
    Trouble(
        "thief",
        {**dockerfile(), "Dockerfile": f"FROM {THEIRS}\n"},
        "BaseImageMissing",
        (THEIRS.partition("@")[0], "the registry refuses access"),
        "FROM",
        log="apps/streamlit-v1",
    ),
    Trouble(
        "spy",
        {**dockerfile("COPY spy.py /", "RUN python3 /spy.py"), "spy.py": SPY},
        "BuildFailed",
        ("the step `python3 /spy.py` failed (exit code 3)",),
        "Read the last lines of the log, correct what they name, and push.",
        log="SPY ",
    ),
)
"""Are broken from their first commit."""
UNLUCKY = Trouble("unlucky", dockerfile("RUN echo working && sleep 8"), "BuildKilled", (), "")
"""Healthy; somebody deletes its build pod."""


@pytest.fixture
def committed(kube: Kube) -> Iterator[Committed]:
    with Committed.make(kube, team="troubles") as made:
        yield made


def files_of(place: Committed, trouble: Trouble, files: dict[str, str]) -> dict[str, str | bytes | None]:
    """An app's directory."""
    manifest = place.manifest(trouble.app, **trouble.spec())
    return below(trouble.app, {**files, "dataapp.yaml": manifest})


def good(place: Committed, version: str) -> dict[str, str | bytes | None]:
    """The apps that have a release to lose, as they are when they work."""
    files: dict[str, str | bytes | None] = {}
    for one in LATER:
        manifest = place.manifest(one.app, build={"dockerfile": "Dockerfile"}, app=one.spec()["app"])
        files |= below(one.app, {**dockerfile(version=version), "dataapp.yaml": manifest})
    return files


class Hands:
    """Those of somebody who looks at the build pods and, here and there, does something to one."""

    def __init__(self, place: Committed) -> None:
        self.place = place
        self.done: dict[str, str] = {}
        self.grants: dict[str, int] = {}

    def look(self) -> None:
        """One look at all pods."""
        for pod in self.place.kube.list("pods", BUILDS, f"dataapps.dev/build-namespace={self.place.namespace}"):
            app = pod["metadata"]["labels"]["dataapps.dev/build"].rpartition("-")[0]
            assert pod["spec"]["automountServiceAccountToken"] is False
            sources = [
                source for volume in pod["spec"]["volumes"] for source in volume.get("projected", {}).get("sources", [])
            ]
            assert not any("serviceAccountToken" in source for source in sources)
            if app in {"hangs", "unlucky"} and app not in self.done and pod["status"].get("phase") == "Running":
                self.meddle(app, pod["metadata"]["name"])

    def meddle(self, app: str, pod: str) -> None:
        """End the time of one build, delete the pod of another, each when its step runs."""
        kubectl = self.place.kube
        log = kubectl.run("logs", "-n", BUILDS, pod, "-c", "build", check=False)
        if app == "hangs" and "waiting for the moon\n" in log:
            self.grants = self.what_its_token_allows(pod)
            kubectl.run("exec", "-n", BUILDS, pod, "-c", "build", "--", "sh", "-c", END_OF_TIME)
            self.done[app] = pod
        if app == "unlucky" and " working\n" in log:
            kubectl.run("delete", "pod", "-n", BUILDS, pod, "--wait=false")
            self.done[app] = pod

    def what_its_token_allows(self, pod: str) -> dict[str, int]:
        """Begin an upload with the build's own token: to its app's repository, to another app's, to another team's."""
        job = pod.rpartition("-")[0]
        secret = self.place.kube.get("secret", job, BUILDS)
        assert secret is not None, f"{job} has no Secret"
        (login,) = json.loads(base64.b64decode(secret["data"]["config.json"]))["auths"].values()
        names = (
            f"{self.place.namespace}/hangs",
            f"{self.place.namespace}/syntax",
            "apps/streamlit-v1",
            "base/build-python",
        )
        return {name.partition("/")[2]: begin_upload(name, login["registrytoken"]) for name in names}


def begin_upload(name: str, token: str) -> int:
    """What the registry says to a push to this repository."""
    connection = http.client.HTTPConnection(REGISTRY, timeout=20)
    connection.request("POST", f"/v2/{name}/blobs/uploads/", headers={"Authorization": f"Bearer {token}"})
    status = connection.getresponse().status
    connection.close()
    return status


def seen_by_a_visitor(place: Committed, app: str) -> tuple[int, str]:
    """Status and version that a visitor gets."""
    connection = http.client.HTTPConnection(GATEWAY, timeout=20)
    connection.request("GET", "/", headers={"Host": place.host(app)})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, json.loads(text)["info"]["title"] if answer.status == 200 else text


def what_runs(place: Committed, app: str) -> list[tuple[str, str, int]]:
    """The app's own objects, down to pods that would be new ones if anybody had touched them."""
    found = []
    for kind in ("appreleases", "replicasets", "pods"):
        for item in place.kube.list(kind, place.namespace, f"dataapps.dev/app={app}"):
            restarts = sum(c["restartCount"] for c in item["status"].get("containerStatuses", []))
            found.append((item["kind"], item["metadata"]["uid"], restarts))
    return sorted(found)


def wait_failed(place: Committed, hands: Hands, troubles: tuple[Trouble, ...], *, timeout: float) -> dict[str, Json]:
    """Wait until all of these are told to be broken; returns the DataApps."""
    until = time.monotonic() + timeout
    while True:
        hands.look()
        apps = {app["metadata"]["name"]: app for app in place.kube.list("dataapps", place.namespace)}
        waiting = [one.app for one in troubles if condition(apps.get(one.app, {}), "Built").get("status") != "False"]
        waiting += [] if UNLUCKY.app in hands.done else [UNLUCKY.app]
        if not waiting:
            return apps
        builds = {one["metadata"]["name"]: (one.get("status") or {}).get("message") for one in place.builds()}
        assert time.monotonic() < until, (
            f"after {timeout:g} s nobody says what is wrong with {waiting}; the builds: {builds}"
        )
        time.sleep(1)  # the pace of looking


def check(place: Committed, trouble: Trouble, app: Json) -> list[str]:
    """What is wrong with what is told about a failed build; prints what a person reads."""
    name = app["status"].get("code", {}).get("build")
    if name is None:
        return [f"{trouble.app}: {condition(app, 'Built')}"]
    build = place.kube.get("appbuild", name, place.namespace)
    assert build is not None, name
    status, built, stalled = build["status"], condition(app, "Built"), condition(app, "Stalled")
    log = status.get("log") or []
    print(f"\n{trouble.app}: {status['phase']} {status['reason']} (attempt {status['attempts']}, {status.get('took')})")
    print(f"  message: {status['message']}\n  next:    {status.get('nextStep')}\n  Built:   {built.get('message')}")
    print("".join(f"  | {line}\n" for line in log[-4:]), end="")
    found = {
        f"phase {status['phase']}": status["phase"] == "Failed",
        f"reason {status['reason']}": status["reason"] == trouble.reason,
        f"message {status['message']}": all(words in status["message"] for words in trouble.says),
        f"next_step {status.get('nextStep')}": trouble.next_step in (status.get("nextStep") or ""),
        f"log {log}": any(trouble.log in line for line in log) if trouble.log else True,
        f"log of {len(log)} lines": len(log) <= 20,
        f"Built {built}": (built.get("status"), built.get("reason")) == ("False", trouble.reason),
        f"Stalled {stalled}": (stalled.get("status"), stalled.get("reason")) == ("True", trouble.reason),
        "Built has the sentence": status["message"] in built.get("message", ""),
        "Stalled has the sentence": status["message"] in stalled.get("message", ""),
        "Built says where the log is": f"kubectl describe appbuild {name}" in built.get("message", ""),
        "nothing is told to be on its way": not condition(app, "Reconciling"),
        "attempts": status["attempts"] < 3,  # it failed by itself; a killed operator may have counted one more
    }
    return [f"{trouble.app}: {what}" for what, holds in found.items() if not holds]


def nothing_left(place: Committed) -> list[str]:
    """Wait until no build of the namespace has left anything; returns what is left at last."""
    until = time.monotonic() + 40
    selector = f"dataapps.dev/build-namespace={place.namespace}"
    while True:
        told = place.kube.run("get", "jobs,secrets,pods", "-n", BUILDS, "-l", selector, "-o", "name").split()
        if not told or time.monotonic() > until:
            return told
        time.sleep(1)  # the pace of looking


def test_a_build_that_fails_says_why_and_harms_nothing_that_runs(committed: Committed) -> None:
    place, hands = committed, Hands(committed)
    first = place.push(good(place, "v1"), "Three apps that work")
    for one in LATER:
        place.wait_released(one.app, 1, timeout=200)
    before = {one.app: what_runs(place, one.app) for one in LATER}

    broken: dict[str, str | bytes | None] = {}
    for one in (*LATER, *AT_ONCE, UNLUCKY):
        broken |= files_of(place, one, one.files) | below(one.app, dict.fromkeys(one.gone))
    place.push(broken, "All of it breaks")
    apps = wait_failed(place, hands, (*LATER, *AT_ONCE), timeout=360)
    wrong = [line for trouble in (*LATER, *AT_ONCE) for line in check(place, trouble, apps[trouble.app])]
    for one in LATER:
        ready = condition(apps[one.app], "Ready")
        print(f"  {one.app} Ready: {ready['message']}")
        assert (ready["status"], ready["message"]) == ("True", f"sandbox serves r1 ({first[:7]})")
        assert what_runs(place, one.app) == before[one.app], f"the release of {one.app} was touched"
        assert seen_by_a_visitor(place, one.app) == (200, "v1")
    for one in AT_ONCE:
        ready = condition(apps[one.app], "Ready")
        assert (ready["status"], ready["reason"]) == ("False", one.reason)
    check_the_spy(place, apps["spy"])
    print(f"  the token of a build: {hands.grants}")
    own, *others = hands.grants.values()
    assert own == 202
    assert set(others) <= {401, 403}
    check_the_unlucky(place, hands)

    mended = good(place, "v2") | below("package", dict.fromkeys(LATER[0].files))
    began = time.monotonic()
    second = place.push(mended, "Mended")
    for one in LATER:
        app = place.wait_released(one.app, 2)
        assert seen_by_a_visitor(place, one.app) == (200, "v2")
        assert condition(app, "Built")["status"] == "True"
        assert not condition(app, "Stalled")
        assert condition(app, "Ready")["message"] == f"sandbox serves r2 ({second[:7]})"
    print(f"  three mended apps are built and released after {time.monotonic() - began:.0f} s")
    assert nothing_left(place) == []
    assert wrong == []


def check_the_spy(place: Committed, app: Json) -> None:
    """A build's step finds no token, and nobody gives it anything."""
    build = place.kube.get("appbuild", app["status"]["code"]["build"], place.namespace)
    assert build is not None
    line = next(line for line in build["status"]["log"] if "SPY {" in line)
    told = json.loads(line[line.index("{") : line.rindex("}") + 1])
    print(f"  the spy: {told}")
    assert told["account"] is False
    assert told["for-code"] is False
    assert told["for-push"] is False
    assert told["variables"] == []
    for asked in ("builds", "apps", "their-image", "their-push", "their-code"):
        assert told[asked] in (401, 403), asked


def check_the_unlucky(place: Committed, hands: Hands) -> None:
    """The build whose pod was deleted was begun again, and its app is released."""
    assert "unlucky" in hands.done, "nobody saw the pod of the build that was to be deleted"
    place.wait_released("unlucky", 1)
    (build,) = place.builds("unlucky")
    print(f"  unlucky: {build['status']['phase']}, attempt {build['status']['attempts']}")
    assert (build["status"]["phase"], build["status"]["attempts"]) == ("Succeeded", 2)
    assert hands.done["unlucky"].rpartition("-")[0].endswith("-1")
