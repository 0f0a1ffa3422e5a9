"""Everything that can be wrong with a repository, on the real cluster, around two apps that nobody may disturb.

`prices` (FastAPI) comes from the AppSource whose repository is then filled with every mistake; `notes` (a Dockerfile)
was applied by hand with `spec.source`. Both are built, released and visited a few times a second from then on, until the
last test. Every test leaves the repository as good as it found it.
"""

import base64
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.harness.audit import AuditLog, operator_audit
from tests.harness.cluster import Kube, condition
from tests.harness.commits import Committed, below, example
from tests.harness.operator_pod import NAMESPACE as OPERATOR_NAMESPACE
from tests.harness.operator_pod import OperatorPod
from tests.harness.prober import Report
from tests.harness.source_cases import (
    BY_HAND,
    CODE,
    DOCKERFILE,
    MANIFESTS,
    SERVER,
    TRANSIENT,
    UNREADABLE,
    bad,
    huge_file,
    idle,
    yaml,
)
from tests.harness.source_ground import TEAM, Ground, revision, undisturbed, visited

pytestmark = [pytest.mark.journey, pytest.mark.builds, pytest.mark.must_run, pytest.mark.xdist_group("source-troubles")]

OUR_KINDS = ("appsources", "dataapps", "appbuilds", "appreleases", "environmentclasses")
HERD = ("ant", "bee", "cat", "dog", "eel")


@pytest.fixture(scope="module")
def ground(kube: Kube) -> Iterator[Ground]:
    """Two good apps on their way, and every AppSource that cannot be read."""
    with Committed.make(kube, team=TEAM) as work:
        audit = operator_audit()
        made = Ground(work, audit, audit.mark())
        prices = below("apps/prices", example("fastapi-prices", without_manifest=True))
        notes = {"notes/Dockerfile": DOCKERFILE, "notes/server.py": SERVER}
        work.push({**prices, "apps/prices/dataapp.yaml": work.manifest("prices"), **notes})
        made.by_hand("notes", path="notes", interval="5s")
        made.secret("wrong", password=made.wrong)
        made.secret("no-authority", ca_crt=None)
        made.repo("empty")
        made.repo("redirected").fault(f"redirect {made.repo('target').url}/info/refs?service=git-upload-pack")
        for name, (where, _, _) in UNREADABLE.items():
            made.source(name, **where)
            made.by_hand(f"hand-{name}", **where)
        yield made
        for repo in made.others.values():
            repo.delete()
            repo.close()


@pytest.fixture(scope="module")
def visits(ground: Ground) -> Iterator[dict[str, Report]]:
    """Both apps are released; from now on they are visited."""
    for app in ("prices", "notes"):
        ground.work.wait_released(app, 1, timeout=300)
    with visited({app: ground.work.host(app) for app in ("prices", "notes")}) as reports:
        yield reports


@pytest.fixture(scope="module")
def crowd(ground: Ground, visits: dict[str, Report]) -> str:
    """Every mistake in one commit, around the apps that run; the commit."""
    work = ground.work
    files: dict[str, Any] = huge_file()
    for name, (text, _, _) in MANIFESTS.items():
        files |= bad(name, text)
    for name, (code, _, _) in CODE.items():
        files |= below(f"code/{name}", {**code, "dataapp.yaml": yaml(name)})
    work.repo.commit(files)
    work.repo.symlink("bad/link/outside", "../../../../etc/passwd")
    work.repo.submodule("bad/module/vendored", work.repo.url)
    commit = work.push({})
    for name, (path, _, _) in BY_HAND.items():
        ground.by_hand(name, path=path, interval="5s")  # a new commit is told soon, and then no more
    ground.attempted(commit)
    return commit


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_repository_that_cannot_be_read_says_what_to_mend(ground: Ground, name: str) -> None:
    _, reason, words = UNREADABLE[name]
    message, of_app = ground.said(name, reason), ground.app_said(f"hand-{name}", reason)
    for part in words:
        assert part in message
        assert part in of_app
    assert "apps from this source go on untouched" in message
    assert bool(re.search(r"\(since 20[-0-9T:]+Z\)\. It is tried again by itself", message)) == (reason in TRANSIENT)


def test_no_request_goes_where_none_may_go(ground: Ground) -> None:
    for name in ("address", "inside", "loopback"):
        ground.said(name, "HostNotAllowed")
    asked = "/x.git/info/refs"
    ground.kube.run("get", "--raw", f"/{ground.namespace}{asked}", check=False)
    with ground.audit.path.open("rb") as log:
        log.seek(ground.begun)
        lines = log.read().decode(errors="replace")
    assert f'"requestURI":"/{ground.namespace}{asked}' in lines, (
        "the control: the API server's log would show a request"
    )
    assert f'"requestURI":"{asked}' not in lines
    ground.said("redirected", "InvalidURL")
    assert ground.repo("redirected").requests(), "the control: we would see it"
    assert ground.repo("target").requests() == []


def test_the_command_in_access_denied_is_all_that_is_needed(ground: Ground) -> None:
    repo = ground.repo("denied")
    repo.commit({"one/dataapp.yaml": idle("denied-one")})
    commit = repo.push()
    ground.source("denied", url=repo.url, serviceAccountName="publisher")
    message = ground.said("denied", "AccessDenied")
    assert "the service account publisher may not create, patch and delete dataapps" in message
    assert ground.apps("denied") == []
    ground.run_as_printed(message)
    ground.synced("denied", commit, timeout=20)
    assert ground.apps("denied") == ["denied-one"]


def test_a_source_looks_when_it_should_and_not_when_it_is_suspended(ground: Ground) -> None:
    repo = ground.repo("looks")
    repo.commit({"one/dataapp.yaml": idle("looks-one")})
    ground.source("looks", url=repo.url, interval="5s")
    ground.synced("looks", repo.push())
    commit = repo.commit({"two/dataapp.yaml": idle("looks-two")})
    repo.push()
    began = time.monotonic()
    ground.synced("looks", commit, timeout=15)
    print(f"\n  a commit was applied {time.monotonic() - began:.1f} s after its push, with an interval of 5 s")

    ground.patch("looks", suspend=True)
    assert "suspended" in ground.said("looks", "Suspended")
    commit = repo.commit({"three/dataapp.yaml": idle("looks-three")})
    repo.push()
    before = len(repo.requests())
    time.sleep(7)  # an interval and more: what is to be seen is that nothing happens
    assert len(repo.requests()) == before, "a suspended source has looked"
    assert ground.apps("looks") == ["looks-one", "looks-two"]

    ground.patch("looks", suspend=False, interval="1h")
    ground.synced("looks", commit)
    commit = repo.commit({"four/dataapp.yaml": idle("looks-four")})
    repo.push()
    request = ground.look("looks")
    found = ground.wait(
        "looks",
        lambda one: one["status"].get("lastHandledReconcileAt") == request,
        what="the request to look is acknowledged",
        timeout=15,
    )
    assert revision(found).endswith(commit), "acknowledged before it was answered"


def test_nothing_goes_because_manifests_are_gone_unless_a_person_says_so(ground: Ground) -> None:
    repo = ground.repo("herd")
    herd = {f"{name}/dataapp.yaml": idle(name) for name in HERD}
    full = repo.commit({**herd, "README.md": "The herd"})
    repo.push()
    ground.source("herd", url=repo.url)
    ground.synced("herd", full)
    assert ground.apps("herd") == sorted(HERD)

    repo.commit(dict.fromkeys(herd), "All gone")
    repo.push()
    ground.look("herd")
    message = ground.said("herd", "EmptySource")
    assert "5 apps came from this source. An empty repository takes nothing away" in message
    assert ground.apps("herd") == sorted(HERD)

    repo.rewind(full)
    held = repo.commit(dict.fromkeys(list(herd)[:3]), "Three gone")
    repo.force_push()
    ground.look("herd")
    message = ground.said("herd", "PruneHeld")
    assert "would remove 3 of 5 apps (ant, bee, cat)" in message
    assert ground.apps("herd") == sorted(HERD)
    ground.run_as_printed(message)
    ground.synced("herd", held)
    until = time.monotonic() + 30
    while ground.kube.list("dataapps", ground.namespace, "dataapps.dev/source=herd")[2:]:
        assert time.monotonic() < until, "the apps that may go do not go"
        time.sleep(0.3)
    assert ground.apps("herd") == ["dog", "eel"]


def test_every_bad_manifest_is_told_with_file_and_line_and_stops_nobody_else(
    ground: Ground, visits: dict[str, Report], crowd: str
) -> None:
    assert crowd
    status = ground.work.source()["status"]
    problems = {problem["path"]: problem for problem in status["problems"]}
    for path, problem in problems.items():
        print(f"\n  {path}:{problem.get('line', '')}: {problem['message']}")
    message = ground.said("apps", "ManifestInvalid")
    assert f"{len(MANIFESTS)} manifests cannot be applied: bad/bomb/dataapp.yaml:5: anchors" in message
    assert "The other 5 apps are in step with main@" in message
    assert set(problems) == {f"bad/{name}/dataapp.yaml" for name in MANIFESTS}
    for name, (_, line, words) in MANIFESTS.items():
        problem = problems[f"bad/{name}/dataapp.yaml"]
        assert problem.get("line") == line, name
        for part in words:
            assert part in problem["message"]
    assert status["summary"] == f"5 apps, {len(MANIFESTS)} refused"
    assert ground.apps("apps") == ["bare", "dash", "huge", "prices", "two"]
    undisturbed(ground, visits)


@pytest.mark.parametrize("name", [*CODE, *BY_HAND])
def test_code_that_is_no_app_says_what_to_mend(
    ground: Ground, visits: dict[str, Report], crowd: str, name: str
) -> None:
    _, reason, words = (CODE | BY_HAND)[name]
    message = ground.app_said(name, reason)
    for part in words:
        assert part in message
    undisturbed(ground, visits)


def test_a_git_server_that_is_down_touches_no_app_and_is_met_again_by_itself(
    ground: Ground, visits: dict[str, Report], crowd: str
) -> None:
    before = {name: ground.work.app(name)["metadata"]["generation"] for name in ("prices", "notes")}
    ground.work.repo.fault("down")
    try:
        ground.work.look_now()
        message = ground.said("apps", "GitUnreachable")
        assert "git.lab.svc has a problem of its own (HTTP 503)" in message
        told = r"\(since 20\S+Z\)\. It is tried again by itself; apps from this source go on untouched"
        assert re.search(told, message)
        undisturbed(ground, visits)
    finally:
        ground.work.repo.fault(None)
    ground.said("apps", "ManifestInvalid")
    assert before == {name: ground.work.app(name)["metadata"]["generation"] for name in before}
    undisturbed(ground, visits)


def test_a_token_that_has_expired_is_told_and_the_new_one_is_taken(
    ground: Ground, visits: dict[str, Report], crowd: str
) -> None:
    ground.secret("git", password=ground.wrong)
    try:
        ground.work.look_now()
        assert "has the token expired or been revoked?" in ground.said("apps", "AuthenticationFailed")
        ground.app_said("notes", "AuthenticationFailed")
        undisturbed(ground, visits, apps=("prices",))
    finally:
        ground.secret("git")
    ground.work.look_now()
    ground.said("apps", "ManifestInvalid")
    ground.work.wait_app("notes", lambda one: not condition(one, "Stalled"), what="its code is read again", timeout=30)
    undisturbed(ground, visits)


def test_a_manifest_that_becomes_unreadable_takes_nothing_away(
    ground: Ground, visits: dict[str, Report], crowd: str
) -> None:
    work, path = ground.work, "apps/prices/dataapp.yaml"
    good = (work.repo.work / path).read_text()
    ground.attempted(work.push({path: "spec: [\n"}))
    message = ground.said("apps", "ManifestInvalid")
    assert f"{path}:" in message
    assert "prices" in ground.apps("apps")
    undisturbed(ground, visits)
    mended = ground.attempted(work.push({path: good}))
    assert f"{path}:" not in condition(mended, "Ready")["message"]
    undisturbed(ground, visits)


def test_a_directory_with_another_name_is_the_same_app(ground: Ground, visits: dict[str, Report], crowd: str) -> None:
    work = ground.work
    before, builds = work.app("prices")["metadata"]["uid"], len(work.builds("prices"))
    work.repo.git("mv", "apps/prices", "apps/price-list")
    ground.attempted(work.push({}, "Another name"))
    try:
        app = work.wait_app(
            "prices",
            lambda one: (
                one["metadata"]["annotations"]["dataapps.dev/path"] == "apps/price-list"
                and one["status"].get("observedGeneration") == one["metadata"]["generation"]
            ),
            what="the app is where the directory is now",
        )
        assert app["metadata"]["uid"] == before
        undisturbed(ground, visits)
        assert len(work.builds("prices")) == builds, "the same files were built once more"
    finally:
        work.repo.git("mv", "apps/price-list", "apps/prices")
        ground.attempted(work.push({}, "The old name"))
    undisturbed(ground, visits)


def test_twenty_seconds_without_a_write_in_the_midst_of_all_troubles(
    ground: Ground, visits: dict[str, Report], crowd: str
) -> None:
    ground.source("every-5-s", paths=["nothing/dataapp.yaml"], interval="5s")
    ground.said("every-5-s", "EmptySource")
    log = ground.audit
    quiet_for(log, ground.namespace, 8)  # longer than the five seconds after which an app by hand tells a new commit
    mark, asked, began = log.mark(), len(ground.work.repo.requests()), time.monotonic()
    while time.monotonic() < began + 20:
        time.sleep(1)  # the window itself
    assert not (found := writes(log, mark, ground.namespace)), "\n".join(map(str, found))
    assert len(ground.work.repo.requests()) > asked + 3, "the control: it does look meanwhile"
    undisturbed(ground, visits)


def test_an_unrelated_history_is_followed_and_nothing_is_lost(
    ground: Ground, visits: dict[str, Report], crowd: str
) -> None:
    work = ground.work
    before = {name: work.app(name)["metadata"]["uid"] for name in ("prices", "notes", *CODE)}
    repo, server = work.repo, "notes/server.py"
    repo.git("checkout", "--quiet", "--orphan", "anew")
    commit = repo.commit({server: (repo.work / server).read_text().replace("v1", "v2")}, "A new beginning")
    repo.git("branch", "-M", "main")
    assert repo.git("rev-list", "--count", "HEAD") == "1"
    repo.force_push()
    work.look_now()
    ground.attempted(commit)
    work.wait_released("notes", 2, timeout=300)
    assert work.app("notes")["status"]["code"]["commit"] == commit
    assert before == {name: work.app(name)["metadata"]["uid"] for name in before}
    undisturbed(ground, visits, apps=("prices",))
    undisturbed(ground, visits, apps=("notes",), release=2)
    for name, report in visits.items():
        print(f"\n  {name}: {report}")


def test_the_password_stands_nowhere(ground: Ground, crowd: str) -> None:
    """Last: everything above has happened, and some of it failed in the middle of a request with a password."""
    kube, pod = ground.kube, OperatorPod(ground.kube).wait_ready()
    texts = {
        "log": kube.run("logs", "-n", OPERATOR_NAMESPACE, pod),
        "log before": kube.run("logs", "-n", OPERATOR_NAMESPACE, pod, "--previous", check=False),
        "events": kube.run("get", "events", "-A", "-o", "yaml"),
        "objects": kube.run("get", ",".join(OUR_KINDS), "-A", "-o", "yaml"),
        "jobs and pods": kube.run("get", "jobs,pods,configmaps", "-A", "-o", "yaml"),
        "metrics": kube.run("get", "--raw", f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods/{pod}:8080/proxy/metrics"),
    }
    for name, text in texts.items():
        assert len(text) > 40, f"nothing to look through: {name}"
        for password in (ground.work.repo.server.password(TEAM), ground.wrong):
            for form in forms(password):
                assert form not in text, f"a password stands in the {name}"
    for name in ("log", "objects"):
        assert ground.namespace in texts[name], "the control: it is about us"


def writes(log: AuditLog, mark: int, namespace: str) -> list[object]:
    """What the operator wrote in a namespace since a position."""
    return [call for call in log.calls(mark) if call.is_write and not call.is_lease and call.namespace == namespace]


def quiet_for(log: AuditLog, namespace: str, seconds: float, *, timeout: float = 60) -> None:
    """Wait until nothing has been written for so long: the story just told has ended."""
    until, quiet, mark = time.monotonic() + timeout, time.monotonic(), log.mark()
    while time.monotonic() < quiet + seconds:
        if found := writes(log, mark, namespace):
            assert time.monotonic() < until, "the operator does not stop writing: " + "; ".join(map(str, found))
            quiet, mark = time.monotonic(), log.mark()
        time.sleep(0.3)


def forms(password: str) -> set[str]:
    """A password as itself, percent-encoded, and as it stands in a Secret or a header."""
    pair = f"{TEAM}:{password}"
    return {
        password,
        quote(password),
        *(base64.b64encode(text.encode()).decode().rstrip("=") for text in (password, pair)),
    }
