"""What a person says to one release, by an annotation or with ``kubectl dataapp``: how it is read, and answered once.

Each command is an annotation of its own whose value names the release that is meant: ``dataapps.dev/abort:
production=14``; several environments are separated by commas. A word that names its release can be said twice, or be
found late, and does no harm: it means this release or nothing. Whoever wants to say the very same thing once more puts
any mark behind it (``production=14@again``).

Some commands hold as long as they stand there (pause, promote-full, resume of a step); the others are done once. All are
answered once, in ``status.environments[].answers``: with what was done, or with why nothing was.
"""

import re
from dataclasses import dataclass

from dataapp_operator.api.base import GROUP, seconds, timestamp
from dataapp_operator.api.reasons import Phase
from dataapp_operator.api.status import Answer
from dataapp_operator.plan.scene import Draft, Scene

ABORT, PAUSE, RESUME, PROMOTE_FULL, ROLLBACK, RESTART = COMMANDS = (
    "abort",
    "pause",
    "resume",
    "promote-full",
    "rollback",
    "restart",
)
_WORD = re.compile(r"^r?([0-9]{1,6})(?:\.([0-9]{1,2})|:r?([0-9]{1,6}))?(?:@[A-Za-z0-9_.-]{1,32})?$")
_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Word:
    """A command's word for one environment: ``14``, ``14.2`` (a step of it) or ``14:12`` (from it to another)."""

    said: str
    number: int | None = None
    step: int | None = None
    to: int | None = None


def word(scene: Scene, command: str) -> Word | None:
    """What is said to this environment now, answered or not."""
    for token in scene.observed.commands.get(command, "").split(","):
        env, found, said = (part.strip() for part in token.partition("="))
        if found and env == scene.env:
            match = _WORD.match(said)
            if match is None:
                return Word(said[:_LONGEST])
            number, step, to = (None if group is None else int(group) for group in match.groups())
            return Word(said, number, step, to)
    return None


def fresh(scene: Scene, command: str) -> Word | None:
    """What is said now and was not answered before, as the persisted memory says."""
    now = word(scene, command)
    answered = next((a.word for a in scene.memory.answers if a.command == command), None)
    return None if now is None or now.said == answered else now


def answer(draft: Draft, command: str, to: Word, message: str) -> None:
    """Say what was done, or why nothing was."""
    entry = Answer(command=command, word=to.said, at=timestamp(draft.now), message=message[:1024])
    draft.update(answers=(*(a for a in draft.memory.answers if a.command != command), entry))
    draft.notes.append(f"{draft.memory.name}: {command} {to.said}: {message}")


def names_candidate(scene: Scene, command: str) -> bool:
    """Whether the release that is on its way is meant, by a command that holds as long as it stands there."""
    now = word(scene, command)
    return now is not None and now.number is not None and now.number == scene.memory.candidate


def paused(scene: Scene) -> bool:
    """What is on its way is to stay where it is."""
    return names_candidate(scene, PAUSE)


def resumed(scene: Scene, step: int) -> bool:
    """A person lets the release on its way go on from a pausing step."""
    now = word(scene, RESUME)
    return names_candidate(scene, RESUME) and now is not None and now.step == step


def line(scene: Scene, command: str, said: str) -> str:
    """What a person types to say it, next to what stands there for other environments."""
    others = [
        token.strip()
        for token in scene.observed.commands.get(command, "").split(",")
        if "=" in token and token.partition("=")[0].strip() != scene.env
    ]
    value = ",".join([*others, f"{scene.env}={said}"])
    return f"kubectl annotate dataapp {scene.app} -n {scene.observed.namespace} --overwrite {GROUP}/{command}={value}"


def answer_standing(scene: Scene, draft: Draft) -> None:
    """Answer the commands that hold as long as they stand there."""
    for command in (PAUSE, RESUME, PROMOTE_FULL):
        now = fresh(scene, command)
        if now is not None:
            answer(
                draft,
                command,
                now,
                misread(command, now, scene) or elsewhere(scene, now) or _stands(scene, command, now),
            )


def misread(command: str, now: Word, scene: Scene) -> str | None:
    """How to say it, if it was not understood."""
    how = {RESUME: f"{scene.env}=14.0, for step 0 of release 14", ROLLBACK: f"{scene.env}=14 or {scene.env}=14:12"}
    told = how.get(command, f"{scene.env}=14, for release 14")
    wrong = now.number is None or (now.step is not None) != (command == RESUME)
    wrong = wrong or (now.to is not None and command != ROLLBACK)
    return f"not understood: write {told}" if wrong else None


def elsewhere(scene: Scene, now: Word) -> str | None:
    """Why it means nothing, if not the release is meant that is on its way."""
    memory = scene.memory
    if memory.candidate == now.number:
        return None
    if memory.candidate is not None:
        return f"nothing was done: r{memory.candidate} is on its way, not r{now.number}"
    serves = f"; r{memory.stable} serves" if memory.stable is not None else ""
    return f"nothing was done: no release is on its way{serves}"


def _stands(scene: Scene, command: str, now: Word) -> str:
    number, spec, phase = now.number, scene.spec(now.number), scene.memory.phase
    if command == PAUSE:
        return (
            f"no further step of r{number} is taken as long as this stands (it is {phase}); if it fails, it still ends"
        )
    steps = spec.plan.steps if spec is not None else ()
    if command == RESUME:
        pausing = now.step is not None and now.step < len(steps) and steps[now.step].pause
        if not pausing or now.step is None:
            return f"r{number} has no pausing step {now.step}"
        return f"r{number} goes on from step {now.step + 1} of {len(steps)}"
    held = spec is not None and seconds(spec.plan.hold) > 0 and phase in {Phase.DEPLOYING, Phase.CHECKING}
    if held:
        return f"r{number} gets all new visitors without a hold, once its checks have passed"
    if phase == Phase.BAKING or not steps:
        return f"nothing was done: r{number} " + (
            "has all new visitors already" if phase == Phase.BAKING else "has no steps; all new visitors come at once"
        )
    return f"r{number} gets all new visitors without further steps, once its checks have passed"
