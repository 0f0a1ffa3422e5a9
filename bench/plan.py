"""The plan of `bench-sessions`: which releases each app makes, in which order, and how each has to end.

Pure, and the same for the same seed. A plan of any length has a bit of everything, in the order of `_KINDS`: a short run
is a sample of the long one.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, cycle

BOUNDARIES = ("Deploying", "Checking", "Releasing", "Baking", "Draining")
"""The phases at whose beginning the operator is killed."""
NO_NETWORK = 30
"""Seconds for which some people lose their network now and then."""
EMPTY_FOR = NO_NETWORK + 10
"""Seconds without a session after which a replica of an old release may go: that is for whom it waits."""


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to one app next.

    `failing`: no session of it works from the start. `breaks`: what goes wrong with it once it bakes. `kill`: at which
    phase the operator is killed. `burst`: three wishes within seconds, of which the second is not released as a rule.
    `canary`: it comes in steps. `resize`: once it is released it gets another replica, or loses one. `cordon`: it begins
    while the cluster's nodes take no new pods, and goes on when they do again.
    """

    failing: bool = False
    breaks: str = ""
    kill: str = ""
    burst: bool = False
    canary: bool = False
    resize: bool = False
    cordon: bool = False

    @property
    def releases(self) -> int:
        """How many releases it makes, at least."""
        return 2 if self.burst else 1

    @property
    def end(self) -> str:
        """The phase in which the record of (the last of) its releases has to end."""
        return "Failed" if self.failing else "RolledBack" if self.breaks else "Released"

    def __str__(self) -> str:
        """In words, for the log of a run."""
        what = "good"
        if self.failing:
            what = "fails before the switch"
        elif self.breaks:
            what = f"{self.breaks} after the switch"
        elif self.burst:
            what = "burst"
        what += ", in steps" if self.canary else ""
        what += ", then another size" if self.resize else ""
        what += ", while nodes are cordoned" if self.cordon else ""
        return f"{what}, operator killed at {self.kill}" if self.kill else what


REASONS: Mapping[str, frozenset[str]] = {
    "": frozenset({"SessionFailed"}),
    "session": frozenset({"SessionFailed"}),
    "listen": frozenset({"NotReady"}),
    "crash": frozenset({"Crashed"}),
    "errors": frozenset({"MetricFailed"}),
    "slow": frozenset({"MetricFailed"}),
}
"""The reasons a failed release may give, by what broke it ("": it failed from the start)."""

GOOD = Step()
_KILLS = tuple(Step(kill=phase) for phase in BOUNDARIES)
_KINDS: tuple[tuple[Step, int], ...] = (
    (Step(breaks="session"), 3),
    (Step(failing=True), 5),
    (Step(kill="Baking"), 1),
    (Step(canary=True), 3),
    (Step(resize=True), 4),
    (Step(breaks="session", canary=True), 2),
    (Step(breaks="crash"), 3),
    (Step(burst=True), 5),
    (Step(breaks="listen"), 2),
    (Step(cordon=True), 2),
    (Step(kill="Checking"), 2),
    (Step(kill="Releasing"), 1),
    (Step(kill="Releasing", canary=True), 2),
    (Step(kill="Deploying"), 2),
    (Step(kill="Draining"), 2),
    (Step(breaks="session", kill="Baking"), 1),
    (GOOD, 1),
)
"""What a plan is made of. With the first release of each of four apps these are 50 releases."""


def plan(releases: int, apps: Sequence[str], *, seed: int, silent: Sequence[str] = ()) -> dict[str, list[Step]]:
    """So many releases, spread over the apps; each app begins with a good one. `silent`: apps that can stop listening."""
    assert releases >= len(apps) > 0, "each app has a first release"
    dice = random.Random(seed)  # noqa: S311 - a plan, not a secret
    steps: dict[str, list[Step]] = {app: [] for app in apps}
    load = dict.fromkeys(apps, 1)
    for step in _chosen(releases - len(apps), silent=bool(silent)):
        able = silent if step.breaks == "listen" else apps
        app = min(able, key=lambda name: (load[name], apps.index(name)))
        steps[app].append(step)
        load[app] += step.releases
    for mine in steps.values():
        dice.shuffle(mine)
    return {app: [GOOD, *mine] for app, mine in steps.items()}


def _chosen(releases: int, *, silent: bool) -> Iterator[Step]:
    """Steps that make exactly so many releases: one of each kind, then what is left of each in turn."""
    kinds = [(step, number) for step, number in _KINDS if silent or step.breaks != "listen"]
    rounds = range(max(number for _, number in kinds))
    deck = [step for turn in rounds for step, number in kinds if turn < number]
    for step in chain(deck, cycle(deck)):
        if releases <= 0:
            return
        one = step if step.releases <= releases else GOOD
        releases -= one.releases
        yield one
