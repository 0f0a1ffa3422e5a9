"""Tells events: each entry of a release's timeline once, as an object whose name says which one it is.

Told after the record is written, never before: an event of something that did not happen would be a lie. What this
process has told it remembers; what an earlier one has told, the API server does. An event that cannot be told holds up
nothing, and is tried again with the next look at its app.
"""

import logging

from dataapp_operator.control.background import AppKey
from dataapp_operator.kube.errors import AlreadyExists, KubeError, LeaseLost, Rejected
from dataapp_operator.kube.port import Cluster
from dataapp_operator.plan import events
from dataapp_operator.plan.actions import Plan
from dataapp_operator.plan.facts import Observed

log = logging.getLogger(__name__)


class Teller:
    """Tells the events of all apps. ``instance``: the name of this process, for people."""

    def __init__(self, cluster: Cluster, *, instance: str) -> None:
        self._cluster = cluster
        self._instance = instance
        self._told: dict[AppKey, set[str]] = {}

    def forget(self, app: AppKey) -> None:
        """The app is gone."""
        self._told.pop(app, None)

    async def tell(self, observed: Observed, plan: Plan) -> None:
        """Tell what is due: of the records as this pass has just written them, or as they were; and of its answers."""
        app = (observed.namespace, observed.name)
        written = {(record.environment, record.number): record.status for record in plan.records}
        told, still_due = self._told.get(app, set()), set()
        whole = {"name": observed.name, "namespace": observed.namespace, "uid": observed.uid}
        for key, facts in sorted(observed.releases.items()):
            status = written.get(key, facts.status)
            about = {"name": facts.name, "namespace": observed.namespace, "uid": facts.uid}
            for name, index in events.due(facts.name, status, now=observed.now):
                still_due.add(name)
                if name in told:
                    continue
                manifest = events.manifest(
                    name, facts.spec, status, index, release=about, app=whole, instance=self._instance
                )
                if not await self._post(app, manifest):
                    still_due.discard(name)
        for name, manifest in events.answers(whole, plan.status, now=observed.now, instance=self._instance):
            still_due.add(name)
            if name not in told and not await self._post(app, manifest):
                still_due.discard(name)
        self._told[app] = still_due

    async def _post(self, app: AppKey, manifest: dict[str, object]) -> bool:
        """Whether it need not be tried again."""
        try:
            await self._cluster.create(manifest)
        except AlreadyExists:
            return True
        except LeaseLost:
            raise
        except Rejected as error:  # its namespace is being deleted, most likely; the record has it all the same
            log.info("%s/%s: an event is refused: %s", *app, error)
            return True
        except KubeError as error:
            log.info("%s/%s: an event is told later: %s", *app, error)
            return False
        return True
