"""LISTs at start and later: what a cluster may lack, and what it may not."""

import pytest

from dataapp_operator.control.resync import Resync, selector
from dataapp_operator.control.slim import SLIM
from dataapp_operator.kube.errors import NotServed, Transient
from dataapp_operator.kube.kinds import DATAAPP, GATEWAY, HTTPROUTE, POD
from dataapp_operator.kube.store import Store
from tests.unit.control_rig import MemoryCluster, dataapp

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


def make() -> tuple[MemoryCluster, Store, Resync, list[object]]:
    cluster, store, told = MemoryCluster(), Store(SLIM), []
    cluster.put(dataapp())
    return cluster, store, Resync(cluster, store, on_change=told.extend), told


async def test_everything_is_listed_and_news_is_told() -> None:
    _, store, resync, told = make()
    assert await resync.everything(SLIM) == set()
    assert store.synced()
    assert [c.app for c in told] == ["sales"]
    assert resync.count == 1


async def test_a_cluster_may_lack_the_gateway_api() -> None:
    cluster, store, resync, _ = make()
    kinds = {k.kind: k for k in (HTTPROUTE, GATEWAY)}
    cluster.fault = lambda _v, kind, _s: NotServed(kinds[kind]) if kind in kinds else None
    assert await resync.everything(SLIM) == {HTTPROUTE, GATEWAY}
    assert store.synced()


async def test_a_cluster_may_not_lack_what_is_ours() -> None:
    cluster, _, resync, _ = make()
    cluster.fault = lambda _v, kind, _s: NotServed(DATAAPP) if kind == "DataApp" else None
    with pytest.raises(NotServed):
        await resync.everything(SLIM)
    assert await resync.later(SLIM, pause=1) is None


async def test_a_later_listing_that_fails_is_told_and_changes_nothing() -> None:
    cluster, store, resync, _ = make()
    await resync.everything(SLIM)
    cluster.fault = lambda _v, kind, _s: Transient("busy") if kind == "Pod" else None
    assert await resync.later(SLIM, pause=600) is None
    assert store.get(DATAAPP, "team", "sales") is not None
    cluster.fault = lambda *_: None
    assert await resync.later(SLIM, pause=600) == set()


async def test_only_our_children_are_listed() -> None:
    assert selector(POD) == "dataapps.dev/app"
    assert selector(DATAAPP) is None
    assert selector(GATEWAY) is None
