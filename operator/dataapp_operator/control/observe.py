"""Reads: everything a decision about one app may look at, from the store and from what slow work found out."""

import logging
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from dataapp_operator.api.appbuild import AppBuildSpec, AppBuildStatus
from dataapp_operator.api.base import GROUP
from dataapp_operator.api.dataapp import DataAppSpec, Environment
from dataapp_operator.api.environmentclass import EnvironmentClassSpec, GatewayRef
from dataapp_operator.api.status import DataAppStatus
from dataapp_operator.control import parse
from dataapp_operator.control.background import AppKey, Workbench
from dataapp_operator.control.claims import HostClaims
from dataapp_operator.control.origin import origin_of
from dataapp_operator.kube.kinds import (
    APPBUILD,
    APPRELEASE,
    AUTOSCALER,
    BUDGET,
    DATAAPP,
    DEPLOYMENT,
    ENVIRONMENTCLASS,
    GATEWAY,
    HTTPROUTE,
    NODE,
    POD,
    REPLICASET,
    SERVICE,
    Kind,
)
from dataapp_operator.kube.store import Store
from dataapp_operator.plan import names
from dataapp_operator.plan.commands import COMMANDS
from dataapp_operator.plan.facts import (
    BuildFacts,
    GatewayFacts,
    GatewayKey,
    Observed,
    Platform,
    ReleaseFacts,
    ReleaseKey,
)

log = logging.getLogger(__name__)

Json = dict[str, Any]

MOST_ENVIRONMENTS = 8
_ENVIRONMENT = re.compile(r"^[a-z][a-z0-9]{0,14}$")


class InvalidAppError(Exception):
    """The DataApp cannot be read as one; the message says which field and why, for its author."""


class Observer:
    """Builds :class:`Observed` for a key."""

    def __init__(
        self,
        store: Store,
        workbench: Workbench,
        claims: HostClaims,
        *,
        front_image: str,
        platform: Platform | None = None,
    ) -> None:
        self._store = store
        self._workbench = workbench
        self._claims = claims
        self._front_image = front_image
        self._platform = platform or Platform()
        self.gateway_api = True
        """Whether the cluster knows HTTPRoutes; found out at start-up."""
        self.unholdable: set[str] = set()
        """The uids of apps that the API server lets nobody put a finalizer on."""

    def observe(self, app: AppKey, rejections: Mapping[str, str]) -> Observed | None:
        """What is known about an app now; None when it does not exist. Raises :class:`InvalidAppError`."""
        namespace, name = app
        manifest = self._store.get(DATAAPP, namespace, name)
        if manifest is None:
            return None
        spec, status = _read(manifest)
        classes, unreadable = self._classes()
        spec = _with_environments(spec, status, classes)
        metadata = manifest["metadata"]
        annotations = metadata.get("annotations") or {}
        origin, origin_trouble = origin_of(manifest, spec, self._store)
        desk = self._workbench.facts(app, uid=metadata["uid"])
        own, strangers = self._children(app, metadata["uid"], status)
        gateways = self._gateways(classes)
        return Observed(
            now=datetime.now(UTC),
            namespace=namespace,
            name=name,
            uid=metadata["uid"],
            resource_version=metadata["resourceVersion"],
            generation=metadata["generation"],
            spec=spec,
            status=status,
            front_image=self._front_image,
            deleting="deletionTimestamp" in metadata,
            gateway_api=self.gateway_api,
            classes=classes,
            unreadable=unreadable,
            gateways=gateways,
            abilities={
                ref: self._workbench.abilities.known(app, GatewayKey(ref, facts.uid, facts.generation))
                for ref, facts in gateways.items()
            },
            host_holders=self._holders(app, spec, classes),
            releases=_releases(own[APPRELEASE]),
            slots=parse.slots(own[REPLICASET], own[SERVICE], own[POD], own[DEPLOYMENT], own[AUTOSCALER]),
            routes={m["metadata"]["name"]: parse.route(m) for m in own[HTTPROUTE]},
            strangers=strangers,
            budgets={m["metadata"]["name"]: parse.budget(m) for m in own[BUDGET]},
            cordoned=frozenset(m["metadata"]["name"] for m in self._store.all(NODE) if m["spec"].get("unschedulable")),
            held=names.FINALIZER in (metadata.get("finalizers") or ()),
            holdable=metadata["uid"] not in self.unholdable,
            end_sessions=bool(annotations.get(names.ANNOTATION_END_SESSIONS)),
            retry=annotations.get(names.ANNOTATION_RETRY, ""),
            commands={
                command: annotations[f"{GROUP}/{command}"]
                for command in COMMANDS
                if annotations.get(f"{GROUP}/{command}")
            },
            suspended=bool(annotations.get(names.ANNOTATION_SUSPEND)),
            origin=origin,
            origin_trouble=origin_trouble,
            code=desk.code,
            builds=_builds(m for m in self._store.by_app(APPBUILD, *app) if parse.belongs_to(m, metadata["uid"])),
            platform=self._platform,
            promote=annotations.get(names.ANNOTATION_PROMOTE, ""),
            requested=next((annotations[key][:256] for key in names.REQUESTED_AT if annotations.get(key)), None),
            leaving=annotations.get(names.ANNOTATION_LEAVING),
            checks=dict(desk.checks),
            views=dict(desk.views),
            fronts=dict(desk.fronts),
            logs=dict(desk.logs),
            queries={key: dict(answers) for key, answers in desk.questions.answers.items()},
            rejections=dict(rejections),
        )

    def _classes(self) -> tuple[dict[str, EnvironmentClassSpec], dict[str, str]]:
        """The classes by name, and those that cannot be read with the reason: they trouble only who uses them."""
        found, unreadable = {}, {}
        for manifest in self._store.all(ENVIRONMENTCLASS):
            name = manifest["metadata"]["name"]
            try:
                found[name] = EnvironmentClassSpec.model_validate(manifest["spec"])
            except ValidationError as error:
                unreadable[name] = _first(error)
        return found, unreadable

    def _children(self, app: AppKey, uid: str, status: DataAppStatus) -> tuple[dict[Kind, list[Json]], tuple[str, ...]]:
        """The app's own objects by kind, and the names of those that an earlier app of its name has left.

        Pods belong to a ReplicaSet, not to the app. Those that live under one that is not ours are told too; all are
        among the app's own, since what they do concerns its Services. The ReplicaSets of a Deployment belong to that; of a
        release that is being removed they are its own whoever they belong to, for the Deployment goes first.
        """
        own: dict[Kind, list[Json]] = {}
        strangers: list[Json] = []
        removed = {(memory.name, number) for memory in status.environments for number in memory.removing}
        owners = {uid}
        for kind in (APPRELEASE, DEPLOYMENT, REPLICASET, AUTOSCALER, SERVICE, HTTPROUTE, BUDGET):
            own[kind] = []
            for manifest in self._store.by_app(kind, *app):
                mine = _is_own(manifest, owners) or _is_left(manifest, removed)
                (own[kind] if mine else strangers).append(manifest)
            if kind == DEPLOYMENT:
                owners |= {m["metadata"]["uid"] for m in own[kind]}
        own[POD] = self._store.by_app(POD, *app)
        ours = {m["metadata"]["uid"] for m in own[REPLICASET]}
        for manifest in own[POD]:
            known = parse.is_orphan(manifest) or any(parse.belongs_to(manifest, uid) for uid in ours)
            if not known and "deletionTimestamp" not in manifest["metadata"]:
                strangers.append(manifest)
        return own, tuple(f"{m['kind']} {m['metadata']['name']}" for m in strangers)

    def _gateways(self, classes: Mapping[str, EnvironmentClassSpec]) -> dict[GatewayRef, GatewayFacts]:
        """By the whole reference: two classes may use different listeners of one Gateway."""
        refs = {cls.gateway for cls in classes.values()}
        return {ref: parse.gateway(self._store.get(GATEWAY, ref.namespace, ref.name), ref) for ref in refs}

    def _holders(self, app: AppKey, spec: DataAppSpec, classes: Mapping[str, EnvironmentClassSpec]) -> dict[str, str]:
        namespace, name = app
        out, previews = {}, []
        for env in spec.environments:
            cls = classes.get(env.of_class)
            if cls is not None:
                previews.append(names.preview_hosts(cls, app=name, namespace=namespace, environment=env.name))
            if env.host is None and cls is None:
                continue
            host = env.host or (names.host(cls, app=name, namespace=namespace, environment=env.name) if cls else "")
            holder = self._claims.holder(app, host)
            if holder is not None:
                out[host] = holder
        self._claims.claim_previews(app, previews)
        return out | {host: holder for host in previews if (holder := self._claims.previewer(app, host)) is not None}


def _is_own(manifest: Json, owners: set[str]) -> bool:
    return any(parse.belongs_to(manifest, uid) for uid in owners)


def _is_left(manifest: Json, removed: set[ReleaseKey]) -> bool:
    """Whether a Deployment that is removed has left this ReplicaSet: its own end is next."""
    made = manifest["kind"] == REPLICASET.kind and parse.is_of_deployment(manifest)
    return made and parse.release_key(manifest) in removed


def _read(manifest: Json) -> tuple[DataAppSpec, DataAppStatus]:
    try:
        return DataAppSpec.model_validate(manifest["spec"]), DataAppStatus.model_validate(manifest.get("status") or {})
    except ValidationError as error:
        raise InvalidAppError(_first(error)) from error


def _with_environments(
    spec: DataAppSpec, status: DataAppStatus, classes: Mapping[str, EnvironmentClassSpec]
) -> DataAppSpec:
    """The spec; without environments of its own, with one of each class that is a default.

    One that serves already stays, whatever became of its class: a platform's slip of the pen must not take an app away.
    """
    if spec.environments:
        return spec
    placed = sorted((cls.default_position, name) for name, cls in classes.items() if cls.default_position is not None)
    wanted = [name for _, name in placed if _ENVIRONMENT.match(name)]
    wanted += [e.name for e in status.environments if e.stable is not None and e.name not in wanted]
    return spec.model_copy(
        update={"environments": tuple(Environment(name=name) for name in wanted[:MOST_ENVIRONMENTS])}
    )


def _builds(manifests: Iterable[Json]) -> dict[str, BuildFacts]:
    """The builds by name. One that this version cannot read is as good as deleted."""
    found = {}
    for manifest in manifests:
        metadata = manifest["metadata"]
        try:
            found[metadata["name"]] = BuildFacts(
                name=metadata["name"],
                uid=metadata["uid"],
                resource_version=metadata["resourceVersion"],
                deleting="deletionTimestamp" in metadata,
                spec=AppBuildSpec.model_validate(manifest["spec"]),
                status=AppBuildStatus.model_validate(manifest.get("status") or {}),
            )
        except ValidationError as error:
            log.warning("%s is passed over: %s", metadata["name"], _first(error))
    return found


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, in words: where and what."""
    first = error.errors()[0]
    of = "status" if error.title.endswith("Status") else "spec"
    return f"{'.'.join([of, *(str(part) for part in first['loc'])])}: {first['msg']}"


def _releases(manifests: Iterable[Json]) -> dict[ReleaseKey, ReleaseFacts]:
    """The records by environment and number. One that this version cannot read is as good as deleted."""
    found = {}
    for manifest in manifests:
        try:
            facts = parse.release(manifest)
        except ValidationError as error:
            log.warning("%s is passed over: %s", manifest["metadata"]["name"], _first(error))
            continue
        found[facts.spec.environment, facts.spec.number] = facts
    return found
