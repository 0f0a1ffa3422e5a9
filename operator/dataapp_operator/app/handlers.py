"""All Kopf decorators, and nothing else: every event goes into the store, and the app it concerns into the queue.

Kopf is the informer and process shell. No create/update/resume handlers (two patches per object), no index (quadratic
at start-up, ghosts after a re-list), no finalizers, no peering.
"""

from collections.abc import Callable, Iterable
from typing import Any

import kopf

from dataapp_operator.control.resync import selector
from dataapp_operator.kube.kinds import Kind

Json = dict[str, Any]


class NoDiffs(kopf.DiffBaseStorage):
    """Events are all we want; what has changed of an object is nobody's question, and finding out is a copy of each."""

    def build(self, **_: Any) -> Any:
        """An object has nothing that could have changed."""
        return {}

    def fetch(self, **_: Any) -> None:
        """Nothing is known of it from before."""

    def store(self, **_: Any) -> None:
        """Nothing is kept."""


class NoProgress(kopf.ProgressStorage):
    """Without handlers of changes there is no progress of any."""

    def fetch(self, **_: Any) -> None:
        """There is none."""

    def store(self, **_: Any) -> None:
        """None is kept."""

    def purge(self, **_: Any) -> None:
        """None was kept."""

    def touch(self, **_: Any) -> None:
        """Nothing on an object changes."""

    def clear(self, *, essence: Any) -> Any:
        """As it is: nothing of ours is in it."""
        return essence


def registry(kinds: Iterable[Kind], *, on_event: Callable[[str | None, Json], None]) -> kopf.OperatorRegistry:
    """A registry that feeds every event of these kinds to ``on_event(type, object)``."""
    handlers = kopf.OperatorRegistry()

    async def changed(event: kopf.RawEvent, **_: object) -> None:
        on_event(event["type"], dict(event["object"]))

    for kind in kinds:
        kopf.on.event(kind.group, kind.version, kind.plural, registry=handlers, id=kind.plural)(changed)

    @kopf.on.login(registry=handlers)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    return handlers


def settings(kinds: Iterable[Kind]) -> kopf.OperatorSettings:
    """Kopf's settings: watch only what is ours, post nothing, scan nothing, never pause."""
    out = kopf.OperatorSettings()
    out.posting.enabled = False
    out.scanning.disabled = True
    out.peering.standalone = True
    out.watching.server_timeout = 300
    out.watching.client_timeout = 310
    out.execution.max_workers = 2
    out.persistence.diffbase_storage = NoDiffs()
    out.persistence.progress_storage = NoProgress()
    for kind in kinds:
        wanted = selector(kind)
        if wanted is not None:
            out.watching.label_selectors[kind.group, kind.version, kind.plural] = wanted
    return out
