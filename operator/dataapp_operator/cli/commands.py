"""What a person's command becomes, given how things are: a decision, or a refusal in words. Pure."""

import difflib
from collections.abc import Callable, Iterable
from datetime import datetime

from dataapp_operator.api.base import timestamp
from dataapp_operator.api.reasons import Reason
from dataapp_operator.cli import onward, serving, underway, words
from dataapp_operator.cli.errors import Refusal, UsageError
from dataapp_operator.cli.situation import Decision, Expected, Request, Situation
from dataapp_operator.cli.view import App, Environment, Release

_DECIDE: dict[str, Callable[[Situation], Decision]] = {
    words.PROMOTE: onward.promote,
    words.RETRY: onward.retry,
    words.PROMOTE_FULL: underway.promote_full,
    words.PAUSE: underway.pause,
    words.RESUME: underway.resume,
    words.ABORT: underway.abort,
    words.ROLLBACK: serving.rollback,
    words.RESTART: serving.restart,
}


def decide(request: Request, app: App, records: tuple[Release, ...], now: datetime) -> Decision:
    """What to write, and what to wait for. Refused where it makes no sense."""
    if app.deleting:
        raise Refusal(f"{app.name} is being deleted, and takes no commands any more")
    if request.command == words.SUSPEND:
        return _suspend(app, now)
    if request.command == words.UNSUSPEND:
        return _unsuspend(app)
    env = _environment(request, app)
    at = app.environments.index(env)
    earlier = app.environments[at - 1] if at else None
    return _DECIDE[request.command](Situation(request, app, env, earlier, records, now))


def _suspend(app: App, now: datetime) -> Decision:
    key = words.annotation(words.SUSPEND)
    if key in app.annotations:
        raise Refusal(f"{app.name} is suspended already ({app.annotations[key]}); `unsuspend` ends it")
    # Any value will do, and this one tells whoever finds it how old it is.
    word = timestamp(now)
    told = f"{app.name}: nothing new begins; what runs and what is on its way goes on"
    return Decision(told, None, {key: word})


def _unsuspend(app: App) -> Decision:
    key = words.annotation(words.SUSPEND)
    if key not in app.annotations:
        raise Refusal(f"{app.name} is not suspended")
    return Decision(f"{app.name}: new releases may begin again", Expected(lifted=Reason.SUSPENDED), {key: None})


def _environment(request: Request, app: App) -> Environment:
    names = [env.name for env in app.environments]
    if not names:
        raise Refusal(f"{app.name} has no environment yet; `status {app.name}` says why")
    if request.environment is None:
        if len(names) > 1:
            raise UsageError(f"{app.name} has several environments; say which one is meant: {', '.join(names)}")
        return app.environments[0]
    found = app.environment(request.environment)
    if found is None:
        raise Refusal(f"{app.name} has no environment {request.environment!r}{suggestion(request.environment, names)}")
    return found


def suggestion(typed: str, names: Iterable[str], *, most: int = 8) -> str:
    """Which names there are, the most likely one first: the end of a sentence about one that there is not."""
    known = sorted(set(names))
    alike = difflib.get_close_matches(typed, known, n=1)
    others = [name for name in known if name not in alike]
    more = f" and {len(others) - most} more" if len(others) > most else ""
    listed = f"{', '.join(others[:most])}{more}"
    if not alike:
        return f"; there is only {listed}" if len(others) == 1 else f"; there are {listed}" if others else ""
    return f"; did you mean {alike[0]}?" + (f" There is also {listed}" if others else "")
