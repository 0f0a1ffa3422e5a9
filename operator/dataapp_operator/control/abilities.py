"""What is known of the Gateways, for all apps together, and who is finding it out.

It holds as long as a Gateway is the same one and nobody has changed it (its uid and generation), and is asked again after
a day; what it was seen not to do, after an hour; that no switch can be seen, which stops everybody, after a minute. What
was known holds until the next answer. It is kept in memory only: after a restart the first release asks again.

One app at a time asks about a Gateway, so that two hundred releases do not ask two hundred times. If it comes to no
answer, because its own preview host leads nowhere for instance, it is another's turn.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dataapp_operator.plan.facts import GatewayAbility, GatewayKey

if TYPE_CHECKING:
    from dataapp_operator.api.environmentclass import GatewayRef

App = tuple[str, str]

GOOD_FOR = 86400.0
"""Seconds for which it holds that a Gateway does everything."""
BAD_FOR = 3600.0
"""Seconds for which it holds that it does not."""
UNMARKED_FOR = 60.0
"""Seconds for which it holds that no switch can be seen."""
TURN = 30.0
"""Seconds after its last word in which it is an app's turn to ask."""


@dataclass(slots=True)
class _Entry:
    """One Gateway as it is now. ``asked``: when each app has asked for an answer last."""

    key: GatewayKey
    ability: GatewayAbility = field(default_factory=GatewayAbility)
    learnt: float = 0.0
    weighed: float = 0.0
    turn: App | None = None
    asked: dict[App, float] = field(default_factory=dict)


class Abilities:
    """By Gateway. ``clock``: seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[GatewayRef, _Entry] = {}

    def known(self, app: App, key: GatewayKey) -> GatewayAbility:
        """What is known now, as this app is concerned."""
        entry, now = self._entries.get(key.ref), self._clock()
        if entry is None or entry.key != key:
            return GatewayAbility()
        ability = replace(
            entry.ability, stale=self._is_stale(entry, now), elsewhere=self._turn(entry, now) not in {None, app}
        )
        lasts = GOOD_FOR if ability.weighs else BAD_FOR
        return replace(ability, weighs=None, weighed="") if now >= entry.weighed + lasts else ability

    def claim(self, app: App, key: GatewayKey) -> bool:
        """An app wants an answer. True: it is the one that asks. False too where the answer came meanwhile."""
        entry, now = self._entry(key), self._clock()
        if entry.ability.marks is not None and not self._is_stale(entry, now):
            return False
        if self._turn(entry, now) is None:
            entry.turn = app
        entry.asked[app] = now
        return entry.turn == app

    def give_up(self, app: App) -> None:
        """An app does not ask any more, whatever it has seen so far: what it asked by is being taken away."""
        for entry in self._entries.values():
            entry.asked.pop(app, None)
            if entry.turn == app:
                entry.turn = None

    def learn(self, key: GatewayKey, found: GatewayAbility) -> list[App]:
        """What was found out about cookies and headers; returns whoever waits for it."""
        entry, now = self._entry(key), self._clock()
        before, known = entry.ability, found.marks is not None
        waiting = [app for app, at in entry.asked.items() if now < at + TURN]
        if known:
            entry.ability = replace(found, weighs=before.weighs, weighed=before.weighed)
            entry.learnt, entry.turn, entry.asked = now, None, {}
        elif before.marks is None:
            entry.ability = replace(before, words=found.words)
        if not known:
            others = [app for app in waiting if app != entry.turn]
            if entry.turn is not None:
                entry.asked.pop(entry.turn, None)  # whoever asks again is the last in the row
            entry.turn = others[0] if others else None
        return waiting

    def weighed(self, key: GatewayKey, *, weighs: bool, words: str) -> None:
        """What was counted at a step. Nobody waits for it: a canary begins, and counts for itself."""
        entry = self._entry(key)
        entry.ability = replace(entry.ability, weighs=weighs, weighed=words)
        entry.weighed = self._clock()

    def _entry(self, key: GatewayKey) -> _Entry:
        entry = self._entries.get(key.ref)
        if entry is None or entry.key != key:
            entry = self._entries[key.ref] = _Entry(key)
        return entry

    def _turn(self, entry: _Entry, now: float) -> App | None:
        """Whose turn it is. Whoever has not said a word for a while has lost it."""
        if entry.turn is not None and now >= entry.asked.get(entry.turn, 0.0) + TURN:
            entry.turn = None
        return entry.turn

    def _is_stale(self, entry: _Entry, now: float) -> bool:
        ability = entry.ability
        if ability.marks is None:
            return False
        lasts = GOOD_FOR if ability.marks and ability.pins else BAD_FOR if ability.marks else UNMARKED_FOR
        return now >= entry.learnt + lasts
