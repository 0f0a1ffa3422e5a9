"""Telling events: after the record, each once, and nothing waits for it."""

import logging

import pytest

from dataapp_operator.kube.errors import Rejected, Transient
from dataapp_operator.kube.kinds import EVENT
from tests.unit.control_rig import APP, Control, dataapp

pytestmark = pytest.mark.asyncio


def events(control: Control) -> list[str]:
    """The reasons of the events that the cluster has."""
    return [manifest["reason"] for (kind, *_), manifest in control.cluster.objects.items() if kind == EVENT]


async def passes(control: Control, count: int = 3) -> None:
    for _ in range(count):
        await control.reconciler.reconcile(APP)


async def test_an_event_is_told_after_the_record_that_it_tells_of_and_once() -> None:
    control = Control(dataapp())
    await passes(control, 5)
    assert events(control) == ["Deploying"]
    creates = [call for call in control.cluster.calls if call.startswith("create Event")]
    assert len(creates) == 1
    record = control.cluster.calls.index("status AppRelease sales-sandbox-1")
    assert control.cluster.calls.index(creates[0]) > record


async def test_another_process_finds_what_the_one_before_has_told() -> None:
    control = Control(dataapp())
    await passes(control)
    other = Control(*(m for m in control.cluster.objects.values() if m["kind"] in {"DataApp", "AppRelease"}))
    other.cluster.objects |= {place: m for place, m in control.cluster.objects.items() if place[0] == EVENT}
    await passes(other)
    assert events(other) == ["Deploying"]
    assert other.words == ["ok"] * 3


@pytest.mark.parametrize(("error", "again"), [(Transient("busy", code=500), True), (Rejected("no", code=403), False)])
async def test_an_event_that_cannot_be_told_holds_up_nothing(
    error: Exception, *, again: bool, caplog: pytest.LogCaptureFixture
) -> None:
    control = Control(dataapp())
    control.cluster.fault = lambda _v, kind, _n: error if kind == "Event" else None  # type: ignore[return-value]
    with caplog.at_level(logging.CRITICAL):
        await passes(control)
    assert control.words == ["ok"] * 3
    assert control.status()["environments"][0]["phase"] == "Deploying"
    control.cluster.fault = lambda *_: None
    await passes(control, 1)
    assert events(control) == (["Deploying"] if again else [])


async def test_an_app_is_held_before_its_first_release_and_one_that_may_not_be_held_is_released_all_the_same() -> None:
    control = Control()
    free = dataapp()
    free["metadata"]["finalizers"] = []
    control.add(free)
    await passes(control, 1)
    assert control.cluster.calls == ["apply DataApp sales"]
    await passes(control, 1)
    assert control.cluster.calls[1] == "create AppRelease sales-sandbox-1"

    refused = Control()
    refused.add(free)
    refused.cluster.fault = lambda verb, kind, _n: (  # type: ignore[return-value]
        Rejected("finalizers are forbidden here", code=403) if (verb, kind) == ("apply", "DataApp") else None
    )
    await passes(refused, 3)
    assert "create AppRelease sales-sandbox-1" in refused.cluster.calls
