"""An app as a tree: its environments, in each its releases, in each its slots and checks. Pure.

The tree is made of words with a role (good, bad, faint …). ``drawing.py`` gives the roles their colours, or none.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from dataapp_operator.api.conditions import READY, STALLED
from dataapp_operator.cli import branches, moments, words
from dataapp_operator.cli.branches import Node, Span
from dataapp_operator.cli.view import App, Environment, Release

MOST_ANSWERS = 3


@dataclass(frozen=True, slots=True)
class Sight:
    """All that a tree shows. Two sights that are equal look the same, but for the time."""

    app: App
    records: tuple[Release, ...] = ()
    trouble: str = ""
    """Why this may not be how things are now."""


def draw(sight: Sight, now: datetime) -> Node:
    """The tree of an app."""
    app = sight.app
    notices = [Node((Span(text, role),)) for text, role in _notices(sight, now)]
    return Node(_head(app, now), (*notices, *(_environment(app, e, sight.records, now) for e in app.environments)))


def _head(app: App, now: datetime) -> tuple[Span, ...]:
    ready = app.condition(READY)
    spans = [Span(app.name, "strong")]
    if app.namespace:
        spans.append(Span(app.namespace, "faint"))
    if ready is None:
        spans.append(Span("not looked at yet", "busy"))
    elif ready.status == "True":
        spans.append(Span("Ready", "good"))
    else:
        spans.append(Span(f"not Ready ({ready.reason})", "bad"))
    spans.append(Span(f"at {moments.clock(now, now)} UTC", "faint"))
    return tuple(spans)


def _notices(sight: Sight, now: datetime) -> Iterable[tuple[str, str]]:
    app = sight.app
    if sight.trouble:
        yield f"this may be old: {sight.trouble}", "bad"
    ready, stalled = app.condition(READY), app.condition(STALLED)
    if app.deleting and (ready is None or ready.status == "True"):
        yield "it is being deleted", "bad"
    suspended = app.annotations.get(words.annotation(words.SUSPEND))
    if suspended is not None:
        at = moments.read(suspended)
        when = f" {moments.since(at, now)}" if at else ""
        yield f"suspended{when}: nothing new begins, until `unsuspend`", "busy"
    if ready is not None and ready.status != "True" and ready.message:
        yield ready.message, "bad"
    if stalled is not None and (ready is None or stalled.message != ready.message):
        yield f"a person must act ({stalled.reason}): {stalled.message}", "bad"
    if ready is None and not app.environments:
        yield "the operator has not looked at it yet", "faint"


def _environment(app: App, env: Environment, records: tuple[Release, ...], now: datetime) -> Node:
    mine = {r.number: r for r in records if r.environment == env.name}
    shown = sorted(env.live | set(branches.failed_since(env, mine.values())), reverse=True)
    children = [
        *_waits(env, now),
        *(branches.release(env, number, mine.get(number), now) for number in shown),
        *_answers(app, env, now),
    ]
    if not children:
        children = [Node((Span("nothing has been released here yet", "faint"),))]
    head = [Span(env.name, "strong")]
    if env.url:
        head.append(Span(env.url, "link"))
    return Node(tuple(head), tuple(children))


def _waits(env: Environment, now: datetime) -> Iterable[Node]:
    waiting = env.waiting
    if waiting is None:
        return
    when = [moments.since(waiting.since, now)] if waiting.since else []
    if waiting.until:
        when.append(moments.until(waiting.until, now))
    spans = [Span(f"waits ({waiting.reason})" if waiting.reason else "waits", "busy")]
    if when:
        spans.append(Span(", ".join(when), "faint"))
    yield Node((*spans, Span(waiting.message, "")) if waiting.message else tuple(spans))


def _answers(app: App, env: Environment, now: datetime) -> Iterable[Node]:
    """The last answers to commands, and commands that have none yet."""
    for command in words.ANSWERED:
        word = words.word(app.annotations.get(words.annotation(command)), env.name)
        if word is not None and not env.has_answered(command, word):
            yield Node(
                (Span(f"{command} {words.unmarked(word)}", "busy"), Span("is written down, and not answered yet", ""))
            )
    known = [a for a in env.answers if a.command]
    newest = sorted(known, key=lambda a: a.at.timestamp() if a.at else 0.0, reverse=True)
    for answer in newest[:MOST_ANSWERS]:
        when = [Span(f"answered {moments.clock(answer.at, now)}", "faint")] if answer.at else []
        said = f"{answer.command} {words.unmarked(answer.word)}".strip()
        yield Node((Span(said, "faint"), *when, Span(answer.message, "")))
