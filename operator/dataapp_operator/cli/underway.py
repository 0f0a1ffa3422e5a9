"""Commands about the release that is on its way: to everybody now, stay, go on, give it up. Pure."""

from dataapp_operator.api.base import seconds
from dataapp_operator.api.reasons import Phase, Reason
from dataapp_operator.api.status import SCALE
from dataapp_operator.cli import words
from dataapp_operator.cli.errors import Refusal
from dataapp_operator.cli.situation import Decision, Expected, Situation


def promote_full(here: Situation) -> Decision:
    """The release goes to everybody as soon as its checks allow."""
    number = here.candidate()
    env = here.env
    _not_going_back(here, number)
    if env.phase == Phase.BAKING or env.weights.get(number) == SCALE:
        raise Refusal(f"r{number} serves everybody in {env.name} already; it is being watched{here.until()}")
    if _stands(here, words.PROMOTE_FULL, number):
        raise Refusal(
            f"r{number} goes to everybody in {env.name} already, once its checks have passed; {here.standing}"
        )
    record = here.record(number)
    held = record is not None and seconds(record.hold) > 0 and env.phase in {Phase.DEPLOYING, Phase.CHECKING}
    if record is not None and not record.steps and not held:
        raise Refusal(f"r{number} has no steps to skip: once its checks pass, everybody gets it at once")
    return here.decision(str(number), f"r{number} goes to everybody now, without its remaining holds and pauses")


def pause(here: Situation) -> Decision:
    """The release stays where it is."""
    number = here.candidate()
    _not_going_back(here, number)
    if _stands(here, words.PAUSE, number):
        raise Refusal(f"r{number} is paused in {here.env.name} already; `resume` lets it go on")
    return here.decision(str(number), f"r{number} stays where it is until `resume`")


def resume(here: Situation) -> Decision:
    """A pause is taken away, and a step that waits for a person is gone on from."""
    env, number = here.env, here.candidate()
    step = _pausing_step(here, number)
    lifts = words.unmarked(here.said(words.PAUSE)) == str(number)
    if step is None and not lifts:
        raise Refusal(f"nothing is paused in {env.name}; {here.standing}")
    taken = here.writes(words.PAUSE, None) if lifts else {}
    if step is None:
        told = f"{env.name}: r{number} is not paused any more"
        return Decision(told, Expected(env.name, lifted=Reason.PAUSED), taken)
    goes_on = here.decision(f"{number}.{step}", f"r{number} goes on from the step that it waits at")
    return Decision(goes_on.words, goes_on.expected, {**goes_on.changes, **taken})


def abort(here: Situation) -> Decision:
    """The release is given up."""
    number = here.candidate()
    _not_going_back(here, number)
    stable = here.env.stable
    shown = stable is not None and here.env.weights.get(number)
    back = f"; new visitors go back to r{stable}" if shown else ""
    if here.env.stopped:
        back = f"; r{stable} is started again"
    return here.decision(str(number), f"r{number} is given up{back}")


def _not_going_back(here: Situation, number: int) -> None:
    if here.env.going_back:
        raise Refusal(f"r{number} is being taken back already in {here.env.name}")


def _stands(here: Situation, command: str, number: int) -> bool:
    """Whether a command that holds as long as it stands there was said to this release, and was heard."""
    said = here.said(command)
    return words.unmarked(said) == str(number) and here.env.has_answered(command, said)


def _pausing_step(here: Situation, number: int) -> int | None:
    """The step at which the release waits for a person, if it does and none has said so yet."""
    env, record = here.env, here.record(number)
    if env.phase != Phase.RELEASING or env.step is None:
        return None
    resumed = here.said(words.RESUME)
    if words.unmarked(resumed) == f"{number}.{env.step}" and env.has_answered(words.RESUME, resumed):
        return None
    if record is None:  # without its record nobody knows its steps; what it waits for is known
        paused = words.unmarked(here.said(words.PAUSE)) == str(number)
        return env.step if env.waits(Reason.PAUSED) and not paused else None
    return env.step if env.step < len(record.steps) and record.steps[env.step].pause else None
