"""Reads: everything a decision about one app may look at, from the store and from what slow work found out."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from dataapp_operator.api.dataapp import DataAppSpec
from dataapp_operator.api.environmentclass import EnvironmentClassSpec, GatewayRef
from dataapp_operator.api.status import DataAppStatus
from dataapp_operator.control import parse
from dataapp_operator.control.background import AppKey, Workbench
from dataapp_operator.control.claims import HostClaims
from dataapp_operator.kube.kinds import (
    APPRELEASE,
    DATAAPP,
    ENVIRONMENTCLASS,
    GATEWAY,
    HTTPROUTE,
    POD,
    REPLICASET,
    SERVICE,
)
from dataapp_operator.kube.store import Store
from dataapp_operator.plan import names
from dataapp_operator.plan.facts import GatewayFacts, Observed

Json = dict[str, Any]


class InvalidAppError(Exception):
    """The DataApp cannot be read as one; the message says which field and why, for its author."""


class Observer:
    """Builds :class:`Observed` for a key."""

    def __init__(self, store: Store, workbench: Workbench, claims: HostClaims, *, front_image: str) -> None:
        self._store = store
        self._workbench = workbench
        self._claims = claims
        self._front_image = front_image
        self.gateway_api = True
        """Whether the cluster knows HTTPRoutes; found out at start-up."""

    def observe(self, app: AppKey, rejections: Mapping[str, str]) -> Observed | None:
        """What is known about an app now; None when it does not exist. Raises :class:`InvalidAppError`."""
        namespace, name = app
        manifest = self._store.get(DATAAPP, namespace, name)
        if manifest is None:
            return None
        spec, status = _read(manifest)
        classes = self._classes()
        metadata = manifest["metadata"]
        desk = self._workbench.facts(app)
        return Observed(
            now=datetime.now(UTC).replace(microsecond=0),
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
            gateways=self._gateways(classes),
            host_holders=self._holders(app, spec, classes),
            releases={
                (facts.spec.environment, facts.spec.number): facts
                for facts in map(parse.release, self._store.by_app(APPRELEASE, namespace, name))
            },
            slots=parse.slots(*(self._store.by_app(kind, namespace, name) for kind in (REPLICASET, SERVICE, POD))),
            routes={m["metadata"]["name"]: parse.route(m) for m in self._store.by_app(HTTPROUTE, namespace, name)},
            checks=dict(desk.checks),
            views=dict(desk.views),
            fronts=dict(desk.fronts),
            logs=dict(desk.logs),
            rejections=dict(rejections),
        )

    def _classes(self) -> dict[str, EnvironmentClassSpec]:
        return {
            m["metadata"]["name"]: EnvironmentClassSpec.model_validate(m["spec"])
            for m in self._store.all(ENVIRONMENTCLASS)
        }

    def _gateways(self, classes: Mapping[str, EnvironmentClassSpec]) -> dict[GatewayRef, GatewayFacts]:
        """By the whole reference: two classes may use different listeners of one Gateway."""
        refs = {cls.gateway for cls in classes.values()}
        return {ref: parse.gateway(self._store.get(GATEWAY, ref.namespace, ref.name), ref) for ref in refs}

    def _holders(self, app: AppKey, spec: DataAppSpec, classes: Mapping[str, EnvironmentClassSpec]) -> dict[str, str]:
        namespace, name = app
        out = {}
        for env in spec.environments:
            cls = classes.get(env.of_class)
            if env.host is None and cls is None:
                continue
            host = env.host or (names.host(cls, app=name, namespace=namespace, environment=env.name) if cls else "")
            holder = self._claims.holder(app, host)
            if holder is not None:
                out[host] = holder
        return out


def _read(manifest: Json) -> tuple[DataAppSpec, DataAppStatus]:
    try:
        return DataAppSpec.model_validate(manifest["spec"]), DataAppStatus.model_validate(manifest.get("status") or {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidAppError(f"spec.{where}: {first['msg']}") from error
