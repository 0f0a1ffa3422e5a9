"""The control layer on a cluster in memory, to inject faults into. The real one is proved in `tests/apiserver`."""

import copy
from typing import TYPE_CHECKING, Any

from dataapp_operator.control.apply import Applier
from dataapp_operator.control.background import AppKey, Workbench
from dataapp_operator.control.claims import HostClaims
from dataapp_operator.control.observe import Observer
from dataapp_operator.control.reconcile import Reconciler
from dataapp_operator.control.slim import SLIM
from dataapp_operator.control.telling import Teller
from dataapp_operator.kube.errors import AlreadyExists, Conflict, KubeError, Missing
from dataapp_operator.kube.kinds import DATAAPP, Kind, kind_of
from dataapp_operator.kube.port import Listing
from dataapp_operator.kube.store import Store
from dataapp_operator.plan.actions import ObserveGateway, ProveGateway, ReadLog, StartCheck, Target
from dataapp_operator.plan.facts import CheckFacts, FrontFacts, GatewayAbility, LogFacts, ViewFacts

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]
APP = ("team", "sales")
DIGEST = "@sha256:" + "a" * 64


def dataapp(
    name: str = "sales", *, uid: str = "uid-sales", spec: Json | None = None, status: Json | None = None
) -> Json:
    """A DataApp as the API server stores it."""
    return {
        "apiVersion": "dataapps.dev/v1alpha1",
        "kind": "DataApp",
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": uid,
            "generation": 1,
            "finalizers": ["dataapps.dev/drain"],
        },
        "spec": spec
        or {
            "image": "registry.example.org/sales" + DIGEST,
            "app": {"framework": "streamlit"},
            "environments": [{"name": "sandbox"}],
        },
        **({"status": status} if status else {}),
    }


CLASS: Json = {
    "apiVersion": "dataapps.dev/v1alpha1",
    "kind": "EnvironmentClass",
    "metadata": {"name": "sandbox", "uid": "uid-class"},
    "spec": {
        "gateway": {"namespace": "gateways", "name": "public"},
        "hostTemplate": "{app}.localhost",
        "previewHostTemplate": "{app}--r{release}--{environment}.localhost",
    },
}
GATEWAY_OBJECT: Json = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "public", "namespace": "gateways", "uid": "uid-gateway"},
    "spec": {"listeners": [{"name": "http", "port": 8000}]},
    "status": {"addresses": [{"value": "10.96.0.9"}]},
}


class MemoryCluster:
    """Keeps what it is told. `fault(verb, kind, name)` may answer an error that is then raised."""

    def __init__(self) -> None:
        self.objects: dict[tuple[Kind, str, str], Json] = {}
        self.version = 0
        self.fault: Callable[[str, str, str], KubeError | None] = lambda _verb, _kind, _name: None
        self.calls: list[str] = []
        self.parts: list[str | None] = []
        """Of each apply that got through, the part that it writes."""

    def put(self, manifest: Json) -> Json:
        self.version += 1
        kept = copy.deepcopy(manifest)
        kept["metadata"]["resourceVersion"] = str(self.version)
        kept["metadata"].setdefault("uid", f"uid-{self.version}")
        self.objects[_place(kept)] = kept
        return copy.deepcopy(kept)

    def _call(self, verb: str, manifest: Json) -> None:
        name = f"{manifest['kind']} {manifest['metadata']['name']}"
        self.calls.append(f"{verb} {name}")
        error = self.fault(verb, manifest["kind"], manifest["metadata"]["name"])
        if error is not None:
            raise error

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Json | None:
        found = self.objects.get((kind, namespace or "", name))
        return copy.deepcopy(found) if found else None

    async def list(self, kind: Kind, *, label_selector: str | None = None) -> Listing:
        error = self.fault("list", kind.kind, label_selector or "")
        if error is not None:
            raise error
        return Listing(tuple(o for (k, _, _), o in self.objects.items() if k == kind), self.version)

    async def create(self, manifest: Json) -> Json:
        self._call("create", manifest)
        if _place(manifest) in self.objects:
            raise AlreadyExists("it exists", code=409)
        return self.put(manifest)

    async def apply(self, manifest: Json, *, subresource: str | None = None, part: str | None = None) -> Json:
        self._call("status" if subresource else "apply", manifest)
        self.parts.append(part)
        known = self.objects.get(_place(manifest))
        if known is None and subresource:
            raise Missing("it is gone", code=404)
        wanted = manifest["metadata"].get("resourceVersion")
        if known is not None and wanted is not None and wanted != known["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified", code=409)
        if subresource and known:
            return self.put(known | {"status": manifest["status"]})
        metadata = (known["metadata"] if known else {}) | manifest["metadata"]
        if part is not None and known is not None and "spec" in manifest:  # what it does not name stays
            manifest = manifest | {"spec": known["spec"] | manifest["spec"]}
        return self.put((known or {}) | manifest | {"metadata": metadata})

    async def delete(self, kind: Kind, namespace: str | None, name: str, *, uid: str, **_: object) -> bool:
        self._call("delete", {"kind": kind.kind, "metadata": {"name": name}})
        known = self.objects.get((kind, namespace or "", name))
        if known is not None and known["metadata"]["uid"] != uid:
            raise Conflict("another incarnation", code=409)
        self.objects.pop((kind, namespace or "", name), None)
        return True

    async def log(self, *_: object, **__: object) -> str:
        return ""


def _place(manifest: Json) -> tuple[Kind, str, str]:
    return kind_of(manifest), manifest["metadata"].get("namespace") or "", manifest["metadata"]["name"]


class Deaf:
    """Senses that find out nothing; each may be replaced."""

    async def check(self, app: AppKey, work: StartCheck) -> CheckFacts:
        return CheckFacts()

    async def look(self, work: ObserveGateway) -> ViewFacts:
        return ViewFacts(plan=work.plan, release=work.number)

    async def prove(self, work: ProveGateway) -> GatewayAbility:
        return GatewayAbility()

    async def read_log(self, app: AppKey, work: ReadLog) -> LogFacts:
        return LogFacts()

    async def ask(self, target: Target) -> FrontFacts:
        return FrontFacts()


class Control:
    """Store, observer, applier and reconciler around a `MemoryCluster`."""

    def __init__(self, *manifests: Json, classes: tuple[Json, ...] = (CLASS,)) -> None:
        self.cluster = MemoryCluster()
        self.store = Store(SLIM)
        self.claims = HostClaims()
        self.woken: list[AppKey] = []
        self.words: list[str] = []
        self.workbench = Workbench(Deaf(), wake=self.woken.append)
        self.observer = Observer(self.store, self.workbench, self.claims, front_image="front" + DIGEST)
        self.reconciler = Reconciler(
            store=self.store,
            observer=self.observer,
            applier=Applier(self.cluster, self.store, on_change=lambda _: None),
            workbench=self.workbench,
            teller=Teller(self.cluster, instance="operator-1"),
            on_pass=lambda word, _: self.words.append(word),
        )
        for kind in SLIM:
            self.store.replace(kind, (), 0)
        for manifest in (*classes, GATEWAY_OBJECT, *manifests):
            self.add(manifest)

    def add(self, manifest: Json) -> None:
        """The cluster has it, and the watch has told us."""
        self.store.put(self.cluster.put(manifest))

    def remove(self, kind: Kind, name: str, namespace: str = "team") -> None:
        """It was deleted, and the watch has told us."""
        gone = self.cluster.objects.pop((kind, namespace, name))
        self.cluster.version += 1
        gone["metadata"]["resourceVersion"] = str(self.cluster.version)
        self.store.observe("DELETED", gone)

    def status(self, name: str = "sales") -> Json:
        """What stands in an app's status."""
        found: Json = self.cluster.objects[DATAAPP, "team", name].get("status", {})
        return found

    def condition(self, kind: str, name: str = "sales") -> Json:
        """One of its conditions; {} when it has none of that type."""
        return next((c for c in self.status(name).get("conditions", ()) if c["type"] == kind), {})
