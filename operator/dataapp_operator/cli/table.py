"""``list``: the apps as ``kubectl get dataapps`` shows them, but with a line for each environment. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from dataapp_operator.api.conditions import READY
from dataapp_operator.cli import moments, words
from dataapp_operator.cli.view import App, Environment

_GAP = "   "
_HEAD = ("NAME", "ENV", "RELEASED", "MOVING", "WAITING", "SESSIONS", "COMMIT", "READY", "AGE", "URL")


def lines(apps: Iterable[App], now: datetime, *, with_namespace: bool) -> list[str]:
    """The table, its head first."""
    rows = [_HEAD, *(row for app in apps for row in _rows(app, now))]
    if with_namespace:
        namespaces = [app.namespace for app in apps for _ in app.environments or (None,)]
        rows = [(where, *row) for where, row in zip(["NAMESPACE", *namespaces], rows, strict=True)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [_GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _rows(app: App, now: datetime) -> Iterable[Sequence[str]]:
    for env in app.environments or (Environment(name=""),):
        ready = app.condition(READY)
        yield (
            app.name,
            env.name,
            ", ".join(_share(env, number) for number in env.serving),
            _moving(env),
            _waiting(app, env, now),
            _sessions(env),
            env.commits.get(env.serving[0], "") if env.serving else "",
            ready.status if ready else "",
            moments.length(now - app.created) if app.created else "",
            env.url,
        )


def _share(env: Environment, number: int) -> str:
    return f"r{number}" if len(env.serving) == 1 else f"r{number} {env.percent(number)}"


def _moving(env: Environment) -> str:
    moving = [f"r{env.candidate} {env.phase.lower()}"] if env.candidate is not None else []
    moving += [f"r{n} draining" for n in sorted(env.sessions) if n not in {env.stable, env.candidate}]
    return ", ".join(moving)


def _waiting(app: App, env: Environment, now: datetime) -> str:
    if env.waiting is None:
        return "Suspended" if words.annotation(words.SUSPEND) in app.annotations else ""
    since = f" {moments.length(now - env.waiting.since)}" if env.waiting.since else ""
    return f"{env.waiting.reason}{since}"


def _sessions(env: Environment) -> str:
    """Open sessions of what drains; nothing where they are not counted, or not all of them."""
    counts = [count for count in env.sessions.values() if count is not None]
    return str(sum(counts)) if counts and len(counts) == len(env.sessions) else ""
