"""An AppSource under a hostile script: commits, broken and half manifests, failures, edits, deletions by people, and a
death of the operator between any two calls to the API server or to git.

What is checked at every single write: an app is only ever marked as leaving when the newest commit that was read whole
has every manifest readable where the app could stand, and has not the app; the inventory never loses an app that is
still there; no app of somebody else is touched. At the end: what there is, is what git says.
"""

import asyncio
import os

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dataapp_operator.api.reasons import Reason
from dataapp_operator.kube.errors import Conflict, Transient
from dataapp_operator.kube.kinds import APPSOURCE, DATAAPP
from dataapp_operator.plan.names import ANNOTATION_COMMIT, ANNOTATION_LEAVING, ANNOTATION_PATH, LABEL_SOURCE
from dataapp_operator.source.errors import SourceError
from tests.unit.source_rig import KEY, Crash, FakeHub, Rig, manifest

DEEP = os.environ.get("DATAAPP_DEEP") == "1"
NAMES = ("alpha", "beta", "gamma", "delta", "eps", "zeta")
ERRORS = {
    "away": SourceError(Reason.GIT_UNREACHABLE, "it does not answer", transient=True),
    "denied": SourceError(Reason.AUTHENTICATION_FAILED, "who are you"),
    "bug": RuntimeError("a bug"),
}
BAD = (b"", b"kind: DataApp", b"\xff\xfe\x00", b"{" * 100, b"a: *b", manifest("alpha", "{nosuch: 1}"))

name = st.sampled_from(NAMES)
event = st.one_of(
    st.tuples(st.just("add"), name, st.integers(1, 3)),
    st.tuples(st.just("add"), name, st.integers(1, 3)),
    st.tuples(st.just("remove"), name),
    st.tuples(st.just("code"), name, st.integers(1, 3)),
    st.tuples(st.just("break"), name, st.sampled_from(BAD)),
    st.tuples(st.just("cut"), name, st.integers(0, 60)),
    st.tuples(st.just("move"), name, name),
    st.tuples(st.just("move and break"), name, name),
    st.tuples(st.just("empty")),
    st.tuples(st.just("twice"), name, name),
    st.tuples(st.just("fault"), st.sampled_from(("look", "files", "read", "trees")), st.sampled_from(sorted(ERRORS))),
    st.tuples(st.just("lose"), st.just("read")),
    st.tuples(st.just("well")),
    st.tuples(st.just("look")),
    st.tuples(st.just("look")),
    st.tuples(st.just("die"), st.integers(1, 12)),
    st.tuples(st.just("die in git"), st.integers(1, 5)),
    st.tuples(st.just("server"), st.sampled_from(("conflict", "busy")), st.integers(1, 6)),
    st.tuples(st.just("edit"), name),
    st.tuples(st.just("delete"), name),
    st.tuples(st.just("drained")),
    st.tuples(st.just("allow")),
    st.tuples(st.just("restart")),
)


class World:
    """The rig, with what may never happen checked at each write."""

    def __init__(self):
        self.rig = Rig(interval="1m")
        self.files = {}
        self.lost = None
        self.left = None
        self.git_left = None
        self.trouble = None
        self.before = {}
        self.commits = {}
        self.put("alpha", 1)
        self.rig.hub.push(self.files)
        self.rig.put_app("foreign")
        self.faults = {}
        hub = self.rig.hub
        hub.fault = self.in_git
        self._real_read = hub.read
        hub.read = self.read
        self.inventory = set()
        self.violations = []
        self.died = False
        self.disturbed = False
        self.wire()

    def wire(self):
        self.rig.server.fault = self.in_server
        watch = self.rig.server.watch

        def check(event_type, changed):
            watch(event_type, changed)
            try:
                self.check(event_type, changed)
            except AssertionError as error:
                # The reconciler would take it for a bug of one source and go on.
                self.violations.append(str(error))

        self.rig.server.watch = check

    # ---- what may go wrong -----------------------------------------------------------------------------------

    def in_git(self, step):
        if self.git_left is not None:
            self.git_left -= 1
            if self.git_left <= 0:
                self.git_left = None
                self.died = True
                return Crash()
        return self.faults.get(step)

    async def read(self, remote, commit, entries, *, max_bytes):
        found = await self._real_read(remote, commit, entries, max_bytes=max_bytes)
        return dict(list(found.items())[1:]) if self.lost == "read" else found

    def in_server(self, verb, _name):
        if verb in {"after apply", "after status", "get", "create", "apply", "status"} and self.left is not None:
            self.left -= 1
            if self.left <= 0:
                self.left = None
                return Crash()
        if self.trouble and verb in {"apply", "status"}:
            kind, count = self.trouble
            self.trouble = (kind, count - 1) if count > 1 else None
            return Conflict("moved on", code=409) if kind == "conflict" else Transient("busy", code=503)
        return None

    # ---- what may never be -----------------------------------------------------------------------------------

    def check(self, event_type, changed):
        named = changed["metadata"]["name"]
        if event_type == "DELETED":
            self.before.pop(named, None)
            self.commits.pop(named, None)
        elif changed["kind"] == "AppSource":
            self.check_inventory(changed)
        else:
            annotations = changed["metadata"].get("annotations") or {}
            assert named != "foreign" or ANNOTATION_PATH not in annotations
            self.check_mark(named, annotations.get(ANNOTATION_LEAVING))
            self.check_commit(named, annotations.get(ANNOTATION_COMMIT))

    def check_mark(self, app, value):
        """The revision that took the app away really has it not, nor any manifest in which it may stand."""
        known, self.before[app] = self.before.get(app), value
        if value is None or value == known:
            return
        files = self.rig.hub.files_at(value.rpartition(":")[2])
        manifests = {path: text for path, text in files.items() if path.endswith("/dataapp.yaml")}
        assert any(f"name: {n}\n".encode() in t for n in NAMES for t in manifests.values()), "an empty repository"
        for path, text in manifests.items():
            assert f"name: {app}\n".encode() not in text, f"{app} stands in {path}"
            if path == f"apps/{app}/dataapp.yaml":
                assert any(f"name: {other}\n".encode() in text for other in NAMES), "its own manifest cannot be read"

    def check_commit(self, app, commit):
        """A commit that did not touch an app does not become its commit. (A death may have lost what was known.)"""
        known, self.commits[app] = self.commits.get(app), commit
        if self.disturbed or None in {known, commit} or known == commit:
            return
        then, now = (self.of_app(app, self.rig.hub.files_at(sha)) for sha in (known, commit))
        assert then != now, f"{app} got a commit that did not touch it"

    @staticmethod
    def of_app(app, files):
        where = {path.rpartition("/")[0] for path, text in files.items() if f"name: {app}\n".encode() in text}
        return {path: text for path, text in files.items() if path.rpartition("/")[0] in where}

    def check_inventory(self, source):
        """What was in the inventory stays there as long as the app is there and ours."""
        status = source.get("status")
        if status is None:
            return
        known, self.inventory = self.inventory, {entry["name"] for entry in status.get("inventory", ())}
        for app in known - self.inventory:
            labels = self.rig.apps.get(app, {"metadata": {}})["metadata"].get("labels") or {}
            assert labels.get(LABEL_SOURCE) != KEY[1], f"{app} is there and was forgotten"

    # ---- what happens ----------------------------------------------------------------------------------------

    def put(self, app, size, *, at=None):
        directory = f"apps/{at or app}"
        self.files[f"{directory}/dataapp.yaml"] = manifest(app, f"{{app: {{replicas: {{min: {size}}}}}}}")
        self.files.setdefault(f"{directory}/app.py", b"print(1)")

    async def play(self, happening):
        what, *args = happening
        files, rig = self.files, self.rig
        match what:
            case "add":
                self.put(*args)
            case "remove":
                files.pop(f"apps/{args[0]}/dataapp.yaml", None)
            case "code":
                files[f"apps/{args[0]}/app.py"] = f"print({args[1]})".encode()
            case "break":
                files[f"apps/{args[0]}/dataapp.yaml"] = args[1]
            case "cut" if f"apps/{args[0]}/dataapp.yaml" in files:
                files[f"apps/{args[0]}/dataapp.yaml"] = files[f"apps/{args[0]}/dataapp.yaml"][: args[1]]
            case "move" if f"apps/{args[0]}/dataapp.yaml" in files:
                files[f"apps/{args[1]}/dataapp.yaml"] = files.pop(f"apps/{args[0]}/dataapp.yaml")
            case "move and break" if f"apps/{args[0]}/dataapp.yaml" in files:
                files[f"apps/{args[1]}/dataapp.yaml"] = files.pop(f"apps/{args[0]}/dataapp.yaml") + b"nosuch: 1\n"
            case "twice":
                self.put(args[0], 1, at=args[1])
            case "empty":
                files.clear()
                files["README.md"] = b"x"
            case "fault":
                self.faults[args[0]] = ERRORS[args[1]]
            case "lose":
                self.lost = args[0]
            case "well":
                self.well()
            case "die":
                self.left = args[0]
            case "die in git":
                self.git_left = args[0]
            case "server":
                self.trouble = tuple(args)
            case "edit" if args[0] in rig.apps:
                rig.server.edit(DATAAPP, args[0], lambda app: app.update(spec={"app": {"replicas": {"min": 8}}}))
            case "delete" if args[0] in rig.apps:
                rig.server.remove(DATAAPP, args[0])
            case "drained":
                for app in sorted(rig.leaving):
                    rig.server.remove(DATAAPP, app)
            case "allow":
                rig.annotate(allow=f"main@sha1:{rig.hub.head}")
            case "restart":
                self.restart()
        self.disturbed = self.disturbed or what in {"die", "die in git", "server", "restart", "edit"}
        if what in {"add", "remove", "code", "break", "cut", "move", "move and break", "empty", "twice"}:
            rig.hub.push(files)
        rig.later(70)
        await self.passes(3)

    def well(self):
        self.faults.clear()
        self.lost = self.left = self.git_left = self.trouble = None

    def restart(self):
        self.rig.start()
        self.wire()

    async def passes(self, count):
        for _ in range(count):
            try:
                await self.rig.step()
            except Crash:
                self.died = True
            if self.died:
                self.died = False
                await self.rig.operator.close()
                self.restart()

    async def end(self):
        """All well again; a person mends the manifests and allows what is asked for; everything drains."""
        self.well()
        for path in [p for p in self.files if p.endswith("dataapp.yaml")]:
            owner = path.split("/")[1]
            text = self.files[path]
            if f"name: {owner}\n".encode() not in text or b"min" not in text or b"nosuch" in text:
                self.put(owner, 1)
        if not any(path.endswith("dataapp.yaml") for path in self.files):
            self.put("alpha", 1)
        self.rig.hub.push(self.files)
        self.rig.annotate(allow=f"main@sha1:{self.rig.hub.head}")
        for _ in range(4):
            self.rig.later(400)
            await self.passes(4)
            for app in sorted(self.rig.leaving):
                self.rig.server.remove(DATAAPP, app)


async def play(script):
    """The end of a script, checked."""
    world = World()
    await world.passes(3)
    for happening in script:
        await world.play(happening)
    await world.end()
    rig, hub = world.rig, world.rig.hub
    assert world.violations == []
    assert "bug" not in rig.words
    wanted = {path.split("/")[1] for path in world.files if path.endswith("dataapp.yaml")}
    assert set(rig.apps) - {"foreign"} == wanted, rig.status
    assert rig.condition()["status"] == "True", rig.status
    assert rig.status["revision"] == f"main@sha1:{hub.head}"
    assert {entry["name"] for entry in rig.status["inventory"]} == wanted
    for app in wanted:
        # The commit that stands there has the very code that the newest one has.
        args = (f"apps/{app}", (), f"apps/{app}/dataapp.yaml")
        at = rig.apps[app]["metadata"]["annotations"][ANNOTATION_COMMIT]
        assert FakeHub.tree(hub.files_at(at), *args) == FakeHub.tree(world.files, *args)
    rig.server.calls.clear()
    for _ in range(3):
        rig.later(400)
        await world.passes(2)
    assert rig.server.calls == []
    assert rig.server.objects[DATAAPP, "team", "foreign"]["spec"] == {}
    assert (APPSOURCE, *KEY) in rig.server.objects
    await rig.operator.close()
    return {app: rig.apps[app]["spec"] for app in wanted}


@settings(
    max_examples=1000 if DEEP else 60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(event, max_size=14))
@example([("add", "beta", 1), ("move and break", "beta", "gamma")])
@example([("add", "beta", 1), ("twice", "beta", "gamma"), ("twice", "beta", "delta"), ("remove", "beta")])
@example([("empty",), ("break", "beta", b"")])
@example([("add", "beta", 1), ("lose", "read"), ("code", "beta", 2)])
@example([("break", "beta", b""), ("twice", "beta", "alpha"), ("add", "alpha", 1)])
def test_any_script_ends_as_git_says_and_takes_nothing_away_without_knowing(script) -> None:
    asyncio.run(play(script))


STORY = (
    ("add", "beta", 1),
    ("add", "gamma", 2),
    ("code", "beta", 2),
    ("add", "alpha", 3),
    ("remove", "gamma"),
    ("break", "beta", BAD[1]),
    ("add", "beta", 2),
    ("add", "gamma", 1),
)


def test_a_death_at_any_call_of_a_story_comes_to_the_same_end() -> None:
    undisturbed = asyncio.run(play(STORY))
    for at in range(len(STORY)):
        for call in range(1, 11):
            script = (*STORY[:at], ("die", call), *STORY[at:])
            assert asyncio.run(play(script)) == undisturbed, (at, call)


def test_a_death_at_any_step_in_git_comes_to_the_same_end() -> None:
    undisturbed = asyncio.run(play(STORY))
    for at in range(len(STORY)):
        for step in range(1, 5):
            script = (*STORY[:at], ("die in git", step), *STORY[at:])
            assert asyncio.run(play(script)) == undisturbed, (at, step)
