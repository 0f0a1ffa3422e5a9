"""An AppSource on a repository and a cluster in memory, to inject faults into.

The repository is a list of commits (path -> bytes), read through the operator's own parser and with digests as git
would make them. The cluster does what server-side apply does to the fields of one manager: what an apply stops saying
is gone, what others set stays. The proof on a real git server is in ``test_control_sources`` and ``tests/e2e``.
"""

import asyncio
import copy
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from dataapp_operator.api.appsource import AppSourceStatus
from dataapp_operator.control.slim import SLIM
from dataapp_operator.control.sources import SourceReconciler
from dataapp_operator.kube.errors import Conflict, KubeError, Missing, Rejected
from dataapp_operator.kube.kinds import APPSOURCE, DATAAPP, SECRET, kind_of
from dataapp_operator.kube.port import Listing
from dataapp_operator.kube.store import Store
from dataapp_operator.plan.names import ANNOTATION_COMMIT, ANNOTATION_LEAVING
from dataapp_operator.source.errors import SourceError
from dataapp_operator.source.globs import Glob
from dataapp_operator.source.remote import Head
from dataapp_operator.source.tree import Entry

KEY = ("team", "apps")
URL = "https://git.example.org/team/apps.git"
START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
HEADER = "apiVersion: dataapps.dev/v1alpha1\nkind: DataApp\n"


def manifest(name, spec="{}", **metadata):
    """A manifest as an author writes it."""
    extra = "".join(f"  {key}: {value}\n" for key, value in metadata.items())
    return f"{HEADER}metadata:\n  name: {name}\n{extra}spec: {spec}\n".encode()


def files_of(*names, spec="{}"):
    """A repository with these apps, each beside its code."""
    out = {}
    for name in names:
        out[f"apps/{name}/dataapp.yaml"] = manifest(name, spec)
        out[f"apps/{name}/app.py"] = f"print('{name}')".encode()
    return out


class Crash(BaseException):
    """The operator dies here."""


class FakeHub:
    """Commits in memory. ``fault(step)`` may answer an error, which is then raised."""

    def __init__(self):
        self.commits: list[dict[str, bytes]] = []
        self.refused: dict[str, SourceError] = {}
        self.fault: Callable[[str], BaseException | None] = lambda _step: None
        self.steps: list[str] = []
        self.credentials = []
        self.ages = []
        self.gate: asyncio.Event | None = None

    def push(self, files):
        self.commits.append(dict(files))
        return self.sha(len(self.commits) - 1)

    def sha(self, number):
        return hashlib.sha1(f"commit {number}".encode()).hexdigest()

    @property
    def head(self):
        return self.sha(len(self.commits) - 1)

    def files_at(self, sha):
        return next(files for number, files in enumerate(self.commits) if self.sha(number) == sha)

    def _step(self, step):
        self.steps.append(step)
        if (error := self.fault(step)) is not None:
            raise error

    async def look(self, remote, ref, *, max_age, tags=False):
        self.ages.append(max_age)
        self.credentials.append(remote.credential)
        head = self.head
        if self.gate is not None:
            await self.gate.wait()
        self._step("look")
        return Head(commit=head, revision=f"{ref.branch or 'main'}@sha1:{head}")

    async def files(self, remote, commit, globs):
        self._step("files")
        patterns = [Glob.of(glob) for glob in globs]
        files = self.files_at(commit)
        return tuple(
            Entry(path, hashlib.sha1(text).hexdigest(), len(text), "100644")
            for path, text in sorted(files.items())
            if any(pattern.matches(path) for pattern in patterns)
        )

    async def read(self, remote, commit, entries, *, max_bytes):
        self._step("read")
        files = self.files_at(commit)
        return {entry.path: files[entry.path] for entry in entries}

    async def trees(self, remote, commit, places):
        self._step("trees")
        good, bad = {}, {}
        for place in places:
            directory, include, manifest_path = place
            if directory in self.refused:
                bad[place] = self.refused[directory]
            else:
                good[place] = self.tree(self.files_at(commit), directory, include, manifest_path)
        return good, bad

    @staticmethod
    def tree(files, directory, include, manifest_path):
        tops = [f"{top}/" for top in (directory, *include)]
        lines = [
            f"{path} {hashlib.sha1(text).hexdigest()}"
            for path, text in sorted(files.items())
            if path != manifest_path and any(path.startswith(top) for top in tops)
        ]
        return hashlib.sha1("\n".join(lines).encode()).hexdigest()


class Server:
    """The API server, as far as sources need it. ``fault(verb, name)`` may answer an error, which is then raised.

    ``watch`` is told every change, as a watch would.
    """

    def __init__(self):
        self.objects = {}
        self.said = {}
        self.version = 0
        self.calls: list[str] = []
        self.writes: list[str] = []
        self.fault: Callable[[str, str], BaseException | None] = lambda _verb, _name: None
        self.denied: set[str] = set()
        self.reviews = []
        self.watch: Callable[[str, dict], None] = lambda _type, _manifest: None

    def _call(self, verb, name):
        self.calls.append(f"{verb} {name}")
        if (error := self.fault(verb, name)) is not None:
            raise error

    def keep(self, manifest):
        self.version += 1
        kept = copy.deepcopy(manifest)
        kept["metadata"]["resourceVersion"] = str(self.version)
        kept["metadata"].setdefault("uid", f"uid-{self.version}")
        kept["metadata"].setdefault("generation", 1)
        self.objects[_place(kept)] = kept
        self.watch("MODIFIED", copy.deepcopy(kept))
        return copy.deepcopy(kept)

    async def get(self, kind, namespace, name):
        self._call("get", f"{kind.kind} {name}")
        found = self.objects.get((kind, namespace, name))
        return copy.deepcopy(found)

    async def list(self, kind, *, label_selector=None):
        return Listing(tuple(o for (k, _, _), o in self.objects.items() if k == kind), self.version)

    async def create(self, manifest):
        self._call("create", manifest["kind"])
        assert manifest["kind"] == "SubjectAccessReview"
        assert manifest["metadata"] == {}
        self.reviews.append(manifest["spec"])
        verb = manifest["spec"]["resourceAttributes"]["verb"]
        return manifest | {"status": {"allowed": verb not in self.denied}}

    async def apply(self, manifest, *, subresource=None, part=None):
        name = manifest["metadata"]["name"]
        verb = "status" if subresource else "apply"
        self._call(verb, name)
        place = _place(manifest)
        known = self.objects.get(place)
        if known is None and (subresource or "resourceVersion" in manifest["metadata"]):
            raise Missing("it is gone", code=404)
        wanted = manifest["metadata"].get("resourceVersion")
        if known is not None and wanted not in {None, known["metadata"]["resourceVersion"]}:
            raise Conflict("the object has been modified", code=409)
        if subresource:
            AppSourceStatus.model_validate(manifest["status"])
            after = known | {"status": manifest["status"]}
        else:
            before = self.said.get(place, {})
            said = {key: manifest.get(key) for key in ("spec",)}
            said |= {key: manifest["metadata"].get(key) for key in ("labels", "annotations")}
            start = known or {"metadata": {"name": name, "namespace": manifest["metadata"]["namespace"]}}
            after = copy.deepcopy(start) | {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"]}
            after["spec"] = _merge(after.get("spec"), before.get("spec"), said["spec"])
            for key in ("labels", "annotations"):
                after["metadata"][key] = _merge(after["metadata"].get(key), before.get(key), said[key])
            self.said[place] = copy.deepcopy(said)
        if known is not None and after == known:
            return copy.deepcopy(known)
        self.writes.append(f"{verb} {name}")
        answer = self.keep(after)
        if (error := self.fault(f"after {verb}", name)) is not None:
            raise error
        return answer

    async def delete(self, *_args, **_kwargs):
        raise AssertionError("an AppSource deletes nothing")

    async def log(self, *_args, **_kwargs):
        return ""

    def remove(self, kind, name, namespace="team"):
        gone = self.objects.pop((kind, namespace, name))
        self.said.pop((kind, namespace, name), None)
        self.version += 1
        self.watch("DELETED", gone | {"metadata": gone["metadata"] | {"resourceVersion": str(self.version)}})

    def edit(self, kind, name, change, namespace="team"):
        """Somebody else's edit: ``change`` is called with the object."""
        kept = copy.deepcopy(self.objects[kind, namespace, name])
        change(kept)
        self.keep(kept)


def _merge(live, before, said):
    """What server-side apply with force does to maps: lists and values are one piece."""
    if not isinstance(said, dict):
        return copy.deepcopy(said)
    out = dict(live) if isinstance(live, dict) else {}
    earlier = before if isinstance(before, dict) else {}
    for key in earlier:
        if key not in said:
            out.pop(key, None)
    for key, value in said.items():
        out[key] = _merge(out.get(key), earlier.get(key), value)
    return out


def _place(manifest):
    return kind_of(manifest), manifest["metadata"].get("namespace") or "", manifest["metadata"]["name"]


class Rig:
    """One AppSource, its operator, and a clock."""

    def __init__(self, hub=None, **spec):
        self.server = Server()
        self.hub = hub or FakeHub()
        self.now = START
        self.jitter = 0.5
        self.words: list[str] = []
        self.server.keep(
            {
                "apiVersion": "dataapps.dev/v1alpha1",
                "kind": "AppSource",
                "metadata": {"name": "apps", "namespace": "team", "uid": "uid-apps", "annotations": {}},
                "spec": {"url": URL, "ref": {"branch": "main"}, "paths": ["apps/*/dataapp.yaml"]} | spec,
            }
        )
        self.start()

    def start(self):
        """A new process: nothing but what is in the cluster."""
        self.store = Store(SLIM)
        self.woken = asyncio.Event()
        for kind in SLIM:
            items = tuple(copy.deepcopy(o) for (k, _, _), o in self.server.objects.items() if k == kind)
            self.store.replace(kind, items, self.server.version)
        self.server.watch = self._watch
        self.operator = SourceReconciler(
            store=self.store,
            cluster=self.server,
            hub=self.hub,
            wake=lambda _key: self.woken.set(),
            on_change=lambda _changes: None,
            jitter=lambda: self.jitter,
            now=lambda: self.now,
            edit_role="dataapp-operator-edit",
            on_pass=lambda word, _seconds: self.words.append(word),
        )

    def _watch(self, event, manifest):
        if manifest["kind"] in {"AppSource", "DataApp"}:
            self.store.observe(event, manifest)

    async def step(self):
        """One pass, and the slow work it began."""
        result = await self.operator.reconcile(KEY)
        desk = self.operator._reader._desks.get(KEY)
        if desk is not None and desk.task is not None and self.hub_is_free():
            await asyncio.wait({desk.task})
        return result

    def hub_is_free(self):
        return getattr(self.hub, "gate", None) is None

    async def settle(self, passes=6):
        """Passes until nothing more happens at this moment."""
        for _ in range(passes):
            result = await self.step()
        return result

    def later(self, seconds=120):
        self.now += timedelta(seconds=seconds)

    async def push(self, files):
        """A commit, and the next look."""
        sha = self.hub.push(files)
        self.later()
        await self.settle()
        return sha

    @property
    def source(self):
        return self.server.objects[APPSOURCE, *KEY]

    @property
    def status(self):
        return self.source.get("status") or {}

    def condition(self, kind="Ready"):
        return next((c for c in self.status.get("conditions", ()) if c["type"] == kind), {})

    @property
    def apps(self):
        return {name: o for (kind, _, name), o in self.server.objects.items() if kind == DATAAPP}

    @property
    def leaving(self):
        return {n for n, o in self.apps.items() if ANNOTATION_LEAVING in o["metadata"].get("annotations", {})}

    def commit_of(self, name):
        return self.apps[name]["metadata"]["annotations"].get(ANNOTATION_COMMIT)

    def annotate(self, **values):
        names = {"requested": "reconcile.dataapps.dev/requestedAt", "flux": "reconcile.fluxcd.io/requestedAt"}
        names["allow"] = "dataapps.dev/allow-prune"

        def change(manifest):
            manifest["metadata"]["annotations"] |= {names[key]: value for key, value in values.items()}

        self.server.edit(APPSOURCE, "apps", change)

    def respec(self, **spec):
        def change(manifest):
            manifest["spec"] |= spec
            manifest["metadata"]["generation"] += 1

        self.server.edit(APPSOURCE, "apps", change)

    def put_app(self, name, **metadata):
        self.server.keep(
            {
                "apiVersion": "dataapps.dev/v1alpha1",
                "kind": "DataApp",
                "metadata": {"name": name, "namespace": "team", **metadata},
                "spec": {},
            }
        )


__all__ = ["DATAAPP", "KEY", "SECRET", "Crash", "FakeHub", "KubeError", "Rejected", "Rig", "files_of", "manifest"]
