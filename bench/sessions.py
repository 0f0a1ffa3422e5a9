"""`make bench-sessions`: 30 people with an open session, 50 releases under them, and what it costs the people: nothing.

Four apps, one of each framework, are released side by side as `bench.plan` says: good ones, ones that fail before and
after the switch, bursts, and the operator killed at every phase. The negative control comes first.
It has to be alone on the cluster: it kills the operator, and two cores are only just enough to judge.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.chronicle import Chronicle
from bench.control import dropped, rolling_update
from bench.crowd import Crowd, crowd
from bench.judge import Evidence, judge
from bench.people import share_out
from bench.plan import Step, plan
from bench.report import finish
from bench.scripted import APPS, Place
from bench.stories import Deaths, Stream
from tests.harness.cluster import OUT, Json
from tests.harness.operator_pod import OperatorPod
from tests.harness.watcher import Watcher

_AT_MOST = 1500.0
"""Seconds after which the run is given up."""
_SHOWN = 20
"""Faults that are printed."""


@dataclass(frozen=True)
class Story:
    """All that happened."""

    here: Crowd
    streams: list[Stream]
    watcher: Watcher
    deaths: Deaths
    seconds: float
    until_empty: float
    pressure: str
    """For how much of the time something waited for a processor, as the kernel tells it."""
    strangers: list[str]


def _pressure() -> str:
    about = Path("/proc/pressure/cpu")
    return about.read_text().partition("\n")[0] if about.exists() else "unknown"


async def releases(place: Place, steps: Mapping[str, list[Step]], sessions: int, seed: int) -> Story:
    """The releases, with everybody there: from the first page to the last pod of an old release."""
    began = time.monotonic()
    deaths = Deaths(OperatorPod(place.kube))
    by_name = {app.name: app for app in APPS}
    who = [(by_name[name], habits) for name, habits in share_out(sessions, list(by_name))]
    async with AsyncExitStack() as stack:
        watcher = await stack.enter_async_context(Watcher(place.kubeconfig, place.namespace))
        streams = []
        for app in APPS:
            chronicle = Chronicle(place.kubeconfig, place.namespace, app.name)
            streams.append(Stream(place, app, steps[app.name], await stack.enter_async_context(chronicle), deaths))
        await asyncio.gather(*(stream.first() for stream in streams))
        async with crowd({app: place.host(app) for app in APPS}, who, seed=seed) as here:
            print(f"{len(here.people)} people are there", flush=True)
            await asyncio.gather(*(stream.rest() for stream in streams))
            pressure, strangers = _pressure(), await asyncio.to_thread(place.strangers)
        left = time.monotonic()
        await asyncio.gather(*(stream.emptied() for stream in streams))
        until_empty = time.monotonic() - left
    seconds = time.monotonic() - began
    return Story(here, streams, watcher, deaths, seconds, until_empty, pressure, strangers)


def evidence(told: Story, control: Crowd, planned: int) -> Evidence:
    """What the judgement is about."""
    steps = [step for stream in told.streams for step in stream.steps]
    return Evidence(
        planned=planned,
        outcomes=[outcome for stream in told.streams for outcome in stream.outcomes],
        stays=[stay for person in told.here.people for stay in person.stays()],
        visits=told.here.visits(),
        moments={stream.app.name: stream.chronicle.moments for stream in told.streams},
        broken=[one for stream in told.streams for one in stream.broken],
        violations=told.watcher.found,
        gaps=told.watcher.gaps,
        control={app.name: dropped(control, app) for app in APPS},
        until_empty=round(told.until_empty, 1),
        done=sum((person.done for person in told.here.people), Counter()),
        deaths=(sum(bool(step.kill) for step in steps), told.deaths.seen.total()),
        cordons=(sum(step.cordon for step in steps), told.deaths.cordoned),
    )


def details(told: Story, control: Crowd, seen: Evidence, seed: int) -> Json:
    """What a reader of the file may ask next. Everything that went wrong is in it in words."""
    faults = [f"{stay.app} r{stay.release}: {failure}" for stay in seen.good_stays() for failure in stay.failures]
    return {
        "seed": seed,
        "sessions": len(told.here.people),
        "seconds": round(told.seconds, 1),
        "done": dict(seen.done),
        "visits": sum(len(visits.loads) for visits in seen.visits),
        "visitsOnBrokenReleasesThatFailed": sum(len(v.failures) for v in seen.visits) - len(seen.failed_visits()),
        "cpuPressure": told.pressure,
        "strangers": told.strangers,
        "plainRollingUpdate": {
            app: {"droppedSessions": seen.control[app], "failedVisits": prober.report.failed}
            for app, prober in control.probers.items()
        },
        "operatorKilled": dict(told.deaths.seen),
        "operatorAwayAtMost": round(told.deaths.longest, 1),
        "events": told.watcher.events,
        "releases": [str(outcome) for outcome in seen.outcomes],
        "wrong": [
            *(str(outcome) for outcome in seen.outcomes if not outcome.as_planned),
            *(trouble for stream in told.streams for trouble in stream.troubles),
            *faults,
            *(f"a new visitor: {failure}" for failure in seen.failed_visits()),
            *(f"on a release that left: {load}" for load in seen.on_releases_that_left()),
            *map(str, [*seen.violations, *seen.gaps]),
        ],
    }


async def run(number: int, sessions: int, seed: int) -> int:
    """The negative control, the story, the report."""
    if not (OUT / "kubeconfig").exists():
        print("there is no lab: `make lab-up` raises one", file=sys.stderr)
        return 2
    steps = plan(number, [app.name for app in APPS], seed=seed, silent=["websocket"])
    with Place.make() as place:
        place.say_who_else_is_here()
        control = await rolling_update(place, APPS, seed=seed)
        lost = ", ".join(f"{app.name} {dropped(control, app)}" for app in APPS)
        print(f"a plain rolling update drops sessions: {lost}", flush=True)
        async with asyncio.timeout(_AT_MOST):
            told = await releases(place, steps, sessions, seed)
    seen = evidence(told, control, number)
    more = details(told, control, seen, seed)
    for wrong in more["wrong"][:_SHOWN]:
        print(f"WRONG {wrong}")
    if len(more["wrong"]) > _SHOWN:
        print(f"… and {len(more['wrong']) - _SHOWN} more, all in the file")
    return finish("sessions", judge(seen), more)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--releases", type=int, default=50)
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--seed", type=int, default=3)
    given = parser.parse_args()
    return asyncio.run(run(given.releases, given.sessions, given.seed))


if __name__ == "__main__":
    sys.exit(main())
