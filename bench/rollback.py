"""`make bench-rollback`: how long new visitors still come to a release that broke after its switch.

A release is broken while it bakes, by one of three signals, at a moment that has nothing to do with the operator's own
looks. New visitors come twenty times a second and say which release they got; people who were there before keep using
their open sessions and must not notice. One app after the other: it has to be alone on the cluster.
"""

import argparse
import asyncio
import random
import sys
from collections.abc import Sequence

from bench.chronicle import Chronicle
from bench.crowd import crowd
from bench.people import Habits, Stay
from bench.report import finish
from bench.scripted import APPS, App, Place
from bench.taken_back import FIRST_ANSWER, TakenBack, decided, details, judge, visits_on
from tests.harness.cluster import OUT
from tests.harness.prober import Prober

BREAKS = {"streamlit": ("session", "crash"), "shiny": ("session",), "websocket": ("listen", "crash", "errors", "slow")}
"""How the releases of each app break, in turn. What two apps have is measured half on the one, half on the other."""
_BAKE = "60s"
"""Longer than any break takes to be seen: a release that outlives its bake is not taken back."""
_LOOKS = 5.0
"""Seconds between two of the operator's own looks at a baking release, at most."""
METRICS = {
    "errors": ({"name": "errors", "front": "errorRate", "failWhen": "> 0.05", "onNoData": "ignore"},),
    "slow": ({"name": "p95", "front": "latencyP95", "failWhen": "> 1", "onNoData": "ignore"},),
}
"""What is measured beside sessions, by what breaks."""
_PEOPLE = 3
_STARTS, _ENDS = 150.0, 90.0


async def of_one_app(
    place: Place, app: App, breaks: Sequence[str], dice: random.Random
) -> tuple[list[TakenBack], list[Stay], int]:
    """Break one release after the other; the first one stays stable, with people on it."""
    rollbacks = []
    async with Chronicle(place.kubeconfig, place.namespace, app.name) as chronicle:
        await asyncio.to_thread(place.release, app, 1)
        await chronicle.until(lambda c: c.rests() and c.memory.get("stable") == 1, what="r1 is stable", timeout=_STARTS)
        who = [(app, Habits())] * _PEOPLE
        async with crowd({app: place.host(app)}, who, seed=dice.randrange(1000), new_visitors=20.0) as here:
            for number, how in enumerate(breaks, 2):
                rollbacks.append(await _one(place, app, chronicle, here.probers[app.name], number, how, dice))
                print(f"  {rollbacks[-1]}", flush=True)
    await asyncio.to_thread(place.kube.run, "delete", "dataapp", app.name, "-n", place.namespace, "--wait=false")
    stays = [stay for person in here.people for stay in person.stays()]
    return rollbacks, stays, here.probers[app.name].report.late


async def _one(
    place: Place, app: App, chronicle: Chronicle, prober: Prober, number: int, how: str, dice: random.Random
) -> TakenBack:
    stable = chronicle.memory["stable"]
    await asyncio.to_thread(place.release, app, number, bake=_BAKE, metrics=METRICS.get(how, ()))
    await chronicle.until(lambda c: c.bakes(number), what=f"r{number} bakes", timeout=_STARTS)
    # Not a wait for anything: the break must be able to come at any time between two looks of the operator.
    await asyncio.sleep(dice.uniform(0.5, _LOOKS))
    broken = await asyncio.to_thread(place.break_pods, app, number, how)
    await chronicle.until(lambda c: c.rests(), what=f"r{number} ({how}) has come to its end", timeout=_ENDS)
    async with Prober(place.host(app), rate=20.0, visits=20) as more:
        await more.finished()  # a second of new visitors, some of whom the broken release might still get
    first, last = visits_on(prober.report, number, broken=broken)
    status = (await asyncio.to_thread(place.record, app, number)).get("status") or {}
    return TakenBack(
        app=app.name,
        number=number,
        how=how,
        broken=broken,
        decided=decided(chronicle.moments, stable, after=broken),
        first_visit=first,
        begins=FIRST_ANSWER.get(how, 0.0),
        last_visit=last,
        phase=status.get("phase") or "missing",
        reason=status.get("reason") or "",
        message=status.get("message") or "",
    )


async def run(wanted: int, seed: int) -> int:
    """All signals on all apps, and the report."""
    if not (OUT / "kubeconfig").exists():
        print("there is no lab: `make lab-up` raises one", file=sys.stderr)
        return 2
    dice = random.Random(seed)  # noqa: S311 - no secret
    rollbacks: list[TakenBack] = []
    stays: list[Stay] = []
    late = 0
    with Place.make() as place:
        place.say_who_else_is_here()
        for app in (one for one in APPS if one.name in BREAKS):
            breaks = order(app.name, wanted)
            print(f"{app.name}: {', '.join(breaks)}", flush=True)
            measured, seen, behind = await of_one_app(place, app, breaks, dice)
            rollbacks += measured
            stays += seen
            late += behind
    on_old = [stay for stay in stays if stay.release == 1]
    dropped = sum(stay.was_dropped for stay in on_old)
    failures = [failure for stay in on_old if not stay.was_dropped for failure in stay.failures]
    targets = judge(rollbacks, wanted=wanted, dropped=dropped, failed=len(failures), late=late)
    return finish(
        "rollback", targets, {"seed": seed, "rollbacks": details(rollbacks), "failures": list(map(str, failures))}
    )


def order(app: str, wanted: int) -> list[str]:
    """How the releases of an app break so that of each signal there are enough over all apps."""
    ways = BREAKS[app]
    sharing = {how: sum(how in others for others in BREAKS.values()) for how in ways}
    share = {how: -(-wanted // sharing[how]) for how in ways}
    return [how for turn in range(max(share.values())) for how in share if turn < share[how]]


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rollbacks", type=int, default=8, help="of each signal")
    parser.add_argument("--seed", type=int, default=3)
    given = parser.parse_args()
    return asyncio.run(run(given.rollbacks, given.seed))


if __name__ == "__main__":
    sys.exit(main())
