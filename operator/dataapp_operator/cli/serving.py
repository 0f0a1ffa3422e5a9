"""Commands about the release that serves: take it back, release the same once more. Pure."""

from dataapp_operator.api.reasons import Phase
from dataapp_operator.api.status import SCALE
from dataapp_operator.cli.errors import Refusal
from dataapp_operator.cli.situation import Decision, Situation, named, number
from dataapp_operator.cli.view import Release

_WERE = frozenset({Phase.RELEASED, Phase.DRAINING, Phase.WARM, Phase.RETIRED})
"""Phases of a release that was released here, once or now."""


def rollback(here: Situation) -> Decision:
    """The release that serves is taken back, to the one before it or to another former one."""
    env, serving = here.env, here.stable()
    _nothing_on_its_way(here)
    former = sorted(_former(here) - {serving})
    if here.request.to is None:
        held = {each.release for each in env.held}
        if not set(former) - held:
            raise Refusal(f"there is no release before r{serving} in {env.name} to go back to{_others(former)}")
        return here.decision(str(serving), f"r{serving} is taken back, to the release before it")
    target = number(here.request.to)
    if target == serving:
        raise Refusal(f"r{target} is what {env.name} has; {here.standing}")
    if target not in former:
        raise Refusal(f"{_never(here.record(target), target, env.name)}{_others(former)}")
    return here.decision(f"{serving}:{target}", f"r{serving} is taken back, to r{target}")


def restart(here: Situation) -> Decision:
    """The same is released once more: new pods, a new number, the same checks."""
    serving = here.stable()
    _nothing_on_its_way(here)
    return here.decision(str(serving), f"the same as r{serving} is released once more, with new pods")


def _nothing_on_its_way(here: Situation) -> None:
    env = here.env
    if env.candidate is None:
        return
    if env.weights.get(env.candidate) == SCALE:
        raise Refusal(
            f"r{env.candidate} serves everybody in {env.name}, but is not released yet ({env.phase}): `abort` takes it back"
            f" to r{env.stable}"
        )
    raise Refusal(f"r{env.candidate} is on its way in {env.name} ({env.phase}): `abort` it first, or wait for its end")


def _former(here: Situation) -> set[int]:
    """Releases that were released here and are known: by their record, or because something of them still runs."""
    of_records = {r.number for r in here.records if r.environment == here.env.name and r.phase in _WERE}
    return of_records | set(here.env.sessions) | set(here.env.warm)


def _never(record: Release | None, target: int, environment: str) -> str:
    if record is None:
        return f"there is no r{target} in {environment}"
    why = f": {record.summary}" if record.summary else ""
    return f"r{target} was not released in {environment} ({record.phase or 'it has not begun'}{why})"


def _others(former: list[int]) -> str:
    return f"; what can be gone back to: {named(former)}" if former else ""
