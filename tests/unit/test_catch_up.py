"""What was deleted between our listing and that of the watches leaves no ghost in the store.

The fault is a deletion that no watch reports: it happened after our LIST and before the watch's own. The cluster here
answers LISTs and nothing else; store, resync and runtime are the real ones.
"""

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from dataapp_operator.app.runtime import CATCH_UP_SECONDS, Runtime
from dataapp_operator.app.settings import Settings
from dataapp_operator.kube.errors import Transient
from dataapp_operator.kube.kinds import DATAAPP, HTTPROUTE, Kind
from dataapp_operator.kube.port import Cluster, Listing
from dataapp_operator.kube.queue import Ok
from dataapp_operator.web.metrics import Metrics

if TYPE_CHECKING:
    import aiohttp

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

ROUTE = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "HTTPRoute",
    "metadata": {
        "name": "sales-sandbox-1",
        "namespace": "team",
        "uid": "u",
        "resourceVersion": "5",
        "labels": {"dataapps.dev/app": "sales"},
    },
    "spec": {},
}
APP = {
    "apiVersion": "dataapps.dev/v1alpha1",
    "kind": "DataApp",
    "metadata": {"name": "sales", "namespace": "team", "uid": "a", "resourceVersion": "4", "generation": 1},
    "spec": {},
}


class Lists:
    """Answers LISTs from what there is; `broken` of them fail first."""

    def __init__(self) -> None:
        self.there: dict[Kind, list[dict[str, Any]]] = {HTTPROUTE: [ROUTE], DATAAPP: [APP]}
        self.version = 10
        self.broken = 0
        self.asked = 0

    async def list(self, kind: Kind, *, label_selector: str | None = None) -> Listing:
        self.asked += 1
        if self.broken:
            self.broken -= 1
            message = "the API server is restarting"
            raise Transient(message)
        self.version += 1
        return Listing(tuple(self.there.get(kind, ())), self.version)


def running(lists: Lists) -> Runtime:
    settings = Settings(front_image="front", namespace="system", identity="me")
    return Runtime(cast("Cluster", lists), cast("aiohttp.ClientSession", None), settings, Metrics())


@pytest.mark.parametrize("broken", [0, 1])
async def test_a_deletion_that_no_watch_reports_is_noticed_soon_after_the_watches_have_begun(broken: int) -> None:
    lists = Lists()
    runtime = running(lists)
    await runtime.fill()
    assert runtime.store.get(HTTPROUTE, "team", "sales-sandbox-1")
    await runtime.queue.get()
    runtime.queue.done(("team", "sales"), Ok())
    lists.there[HTTPROUTE] = []
    lists.broken = broken
    task = asyncio.create_task(runtime.catch_up_forever())
    runtime.on_event(None, APP)  # the watch of DataApps has listed; that of routes found nothing to tell
    await asyncio.sleep((broken + 1) * CATCH_UP_SECONDS + 0.1)
    task.cancel()
    assert runtime.store.get(HTTPROUTE, "team", "sales-sandbox-1") is None
    assert await runtime.queue.get() == ("team", "sales")


async def test_without_a_new_listing_of_a_watch_nothing_is_listed_again() -> None:
    lists = Lists()
    runtime = running(lists)
    await runtime.fill()
    task = asyncio.create_task(runtime.catch_up_forever())
    runtime.on_event(None, APP)
    await asyncio.sleep(CATCH_UP_SECONDS + 0.1)
    asked = lists.asked
    runtime.on_event("MODIFIED", APP | {"metadata": APP["metadata"] | {"resourceVersion": "99"}})
    await asyncio.sleep(100)
    assert lists.asked == asked
    runtime.on_event(None, APP)  # that watch broke and began anew: its kind is listed, the others are not
    await asyncio.sleep(CATCH_UP_SECONDS + 0.1)
    task.cancel()
    assert lists.asked == asked + 1
