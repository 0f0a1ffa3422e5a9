"""Commands that begin a release: let one go on to the next environment, try a failed one once more. Pure.

The operator gives these no answer of their own: that something begins, or what it waits for instead, is the answer.
"""

import re
from dataclasses import replace

from dataapp_operator.api.reasons import NOT_RELEASED, Reason
from dataapp_operator.cli import words
from dataapp_operator.cli.errors import Refusal, UsageError
from dataapp_operator.cli.situation import Decision, Situation, named, number

_CODE = re.compile(r"(?=.*[a-f])[0-9a-f]{7,64}|[0-9]{7,64}")


def promote(here: Situation) -> Decision:
    """A release of the environment before goes on to this one."""
    env, waiting = here.env, here.env.waiting
    if waiting is not None and env.waits(Reason.AWAITING_TAG) and here.request.release is None:
        raise Refusal(f"{env.name} waits for a tag in the repository and not for a person: {waiting.message}")
    if here.earlier is None:
        return _first(here)
    chosen = here.asked if here.asked is not None else here.earlier.stable
    if chosen is None:
        raise Refusal(f"{here.earlier.name} has no release yet that passed its checks, so none can go on to {env.name}")
    if chosen == env.stable:
        raise Refusal(f"r{chosen} is in {env.name} already; {here.standing}")
    if chosen == env.candidate:
        raise Refusal(f"r{chosen} is on its way in {env.name} already ({env.phase})")
    held = env.holds(chosen)
    if held is not None:
        raise Refusal(
            f"r{chosen} is not tried again in {env.name} by itself ({held.reason}); `retry` has it tried once more"
        )
    if env.stable is not None and chosen < env.stable and _past(here, chosen, here.earlier.name):
        raise Refusal(f"{env.name} is past r{chosen}: it has r{env.stable}. `rollback --to {chosen}` takes it back")
    _passed(here, chosen, here.earlier.name)
    if waiting is not None and env.waits(Reason.SOAKING) and here.said(words.PROMOTE) in {None, str(chosen)}:
        raise Refusal(f"it goes on by itself: {waiting.message}{here.until()}")
    told = f"r{chosen} may go on from {here.earlier.name}"
    if env.candidate is not None:  # nothing that could be seen changes until that has ended
        decision = here.decision(str(chosen), f"{told}, after r{env.candidate} ({env.phase})", answered=False)
        return replace(decision, expected=None)
    return here.decision(str(chosen), told, answered=False)


def _past(here: Situation, chosen: int, earlier: str) -> bool:
    """Whether a lower number is an older release. One that only a setting of here has made has a number of its own, which
    says nothing about those of the environment before; and what the operator asks for is not past.
    """
    wanted = here.env.waits(Reason.AWAITING_PROMOTION) and chosen == here.earlier_stable
    return not wanted and here.env.stable in here.numbers(earlier)


def _passed(here: Situation, chosen: int, earlier: str) -> None:
    """Refuse what never passed in the environment before; what is still on its way there may be promoted in advance."""
    record = here.record(chosen, environment=earlier)
    if record is not None and record.phase in NOT_RELEASED:
        raise Refusal(f"r{chosen} did not pass in {earlier} ({record.phase}) and does not go on: {record.summary}")
    known = here.numbers(earlier)
    live = here.earlier.live if here.earlier is not None else frozenset()
    if record is None and chosen not in live:
        there = f"it has {named(known)}" if known else "there are no records of releases there"
        raise Refusal(f"there is no r{chosen} in {earlier}; {there}")


def _first(here: Situation) -> Decision:
    """Into the first environment nothing has a number yet: code is named by its commit, an image by its digest."""
    env = here.env
    if here.request.release is None:
        if not env.waits(Reason.AWAITING_PROMOTION):
            raise Refusal(f"nothing waits to be promoted to {env.name}; {here.standing}")
        chosen = here.app.image.rpartition("@sha256:")[2][:12] if here.app.image else here.app.commit[:7]
        if not chosen:
            raise Refusal(f"it is not known yet which code is meant; {here.standing}")
    elif _CODE.fullmatch(here.request.release):
        chosen = here.request.release
    else:
        raise UsageError(
            f"{env.name} is the first environment of {here.app.name}, where nothing has a number yet: name the commit, or"
            " the image's digest, by its first 7 digits or more"
        )
    return here.decision(chosen, f"{chosen} may be released", answered=False)


def retry(here: Situation) -> Decision:
    """A release that failed here is tried once more, as a release of its own."""
    env = here.env
    if not env.held:
        raise Refusal(f"there is nothing to try again in {env.name}: nothing failed, or was given up; {here.standing}")
    newest = max(held.release for held in env.held)
    chosen = newest if here.request.release is None else number(here.request.release)
    if env.holds(chosen) is None:
        some = named([held.release for held in env.held])
        raise Refusal(
            f"r{chosen} can be released in {env.name} without it; `retry` is for what failed or was given up: {some}"
        )
    if env.candidate is not None:
        raise Refusal(f"r{env.candidate} is on its way in {env.name} and comes first ({env.phase})")
    wanted = env.waits(Reason.RELEASE_FAILED)
    if env.stable is not None and chosen < env.stable and not wanted:
        raise Refusal(
            f"r{env.stable} has been released in {env.name} after r{chosen}: bring the code of r{chosen} back first, then it"
            " can be tried again"
        )
    return here.decision(str(chosen), f"r{chosen} is tried once more, as a new release", answered=False)
