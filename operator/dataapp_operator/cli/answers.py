"""Whether the operator has answered, told from two looks at an app: before the command was written, and now. Pure."""

from datetime import datetime

from dataapp_operator.cli.situation import Expected, standing
from dataapp_operator.cli.view import App, Environment


def told(expected: Expected, before: App, after: App, now: datetime) -> str | None:
    """What the operator did, or why it did nothing, in one sentence; None while that is not known."""
    meant = [env for env in after.environments if expected.environment in {None, env.name}]
    if expected.lifted is not None:
        if any(env.waits(expected.lifted) for env in meant):
            return None
        return "; ".join(f"{env.name}: {standing(env, now)}" for env in meant) or f"{after.name}: nothing is held back"
    for env in meant:
        said = _told_by(expected, before.environment(env.name) or Environment(env.name), env, now)
        if said is not None:
            return f"{env.name}: {said}"
    return None


def _told_by(expected: Expected, old: Environment, env: Environment, now: datetime) -> str | None:
    if expected.command is None:
        return standing(env, now) if _state(old) != _state(env) else None
    answer = env.answer(expected.command)
    if answer is None or answer.word != expected.word:
        return None
    return answer.message or standing(env, now)


def _state(env: Environment) -> tuple[object, ...]:
    """What a person would call a step, if it changes. A moment that moves is none."""
    waiting = (env.waiting.reason, env.waiting.message) if env.waiting else None
    return env.candidate, env.phase, env.stable, env.step, env.weights, waiting
