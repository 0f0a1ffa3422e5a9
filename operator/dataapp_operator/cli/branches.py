"""The branch of one release in an app's tree: where it is, what it gets, what was checked, its slots. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from dataapp_operator.api.reasons import ENDS, NOT_RELEASED, Phase
from dataapp_operator.api.verdict import Verdict
from dataapp_operator.cli import moments
from dataapp_operator.cli.view import Check, Environment, Release, Slot, Step

_UNDERWAY = frozenset({Phase.PENDING, Phase.DEPLOYING, Phase.CHECKING, Phase.RELEASING, Phase.BAKING})
_LOST = NOT_RELEASED - {Phase.SUPERSEDED}
_MARKS = {Verdict.PASS: ("✔", "good"), Verdict.FAIL: ("✘", "bad")}


@dataclass(frozen=True, slots=True)
class Span:
    """Some words, and their role: ``strong``, ``good``, ``bad``, ``busy``, ``faint``, ``link``, or none."""

    text: str
    role: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A line of the tree, and what hangs on it."""

    spans: tuple[Span, ...]
    children: tuple["Node", ...] = ()


def failed_since(env: Environment, records: Iterable[Release]) -> tuple[int, ...]:
    """The newest release that failed after the one that serves: what a person looks for first."""
    lost = [r.number for r in records if r.phase in _LOST and r.number > (env.stable or 0)]
    return tuple(sorted(lost)[-1:])


def release(env: Environment, number: int, record: Release | None, now: datetime) -> Node:
    """One release. Its record may be gone; the environment's memory says the most important of it."""
    known = record or Release(app="", environment=env.name, number=number)
    phase = (env.phase if number == env.candidate else known.phase) or _role(env, number)
    spans = [Span(f"r{number}", "strong"), Span(phase, _colour(phase))]
    if number in env.weights:
        spans.append(Span(env.percent(number)))
    sessions = env.sessions.get(number, known.sessions)
    if sessions is not None and phase not in ENDS and "session" not in known.summary:
        spans.append(Span("1 session" if sessions == 1 else f"{sessions} sessions"))
    commit = known.commit or env.commits.get(number, "")
    if commit:
        spans.append(Span(commit, "faint"))
    spans += _why(env, number, known, now)
    return Node(tuple(spans), tuple(_details(env, number, known)))


def _role(env: Environment, number: int) -> str:
    if number in env.sessions:
        return str(Phase.DRAINING)
    if number in env.warm:
        return str(Phase.WARM)
    return str(Phase.RELEASED) if number == env.stable else ""


def _colour(phase: str) -> str:
    if phase in _UNDERWAY:
        return "busy"
    if phase in _LOST:
        return "bad"
    return "good" if phase == Phase.RELEASED else "faint"


def _why(env: Environment, number: int, record: Release, now: datetime) -> list[Span]:
    """The column REASON, unless what the environment waits for has just said it."""
    waiting, said = env.waiting, record.summary
    if said and not (waiting is not None and said in {waiting.message, f"{waiting.reason}: {waiting.message}"}):
        return [Span(said, "bad" if record.phase in _LOST else "")]
    warm_until = env.warm.get(number)
    return [Span(f"kept {moments.until(warm_until, now)}")] if warm_until and not said else []


def _details(env: Environment, number: int, record: Release) -> Iterable[Node]:
    underway = number == env.candidate
    if underway and env.step is not None and env.step < len(record.steps):
        yield Node((Span(_step(env.step, record.steps)),))
    if underway and record.preview_url:
        yield Node((Span("preview", "faint"), Span(record.preview_url, "link")))
    if number not in env.sessions and number not in env.warm:  # of a former release they are history
        yield from map(_check, record.checks)
    if record.phase not in ENDS:
        yield from map(_slot, record.slots)
    if record.next_step:
        yield Node((Span("next", "faint"), Span(record.next_step)))


def _step(index: int, steps: tuple[Step, ...]) -> str:
    step = steps[index]
    words = [f"step {index + 1} of {len(steps)}"]
    if step.weight is not None:
        words.append(f"{step.weight} %")
    if step.pause:
        words.append("stays there until `resume`")
    elif step.hold:
        words.append(f"for {step.hold}")
    return ", ".join(words)


def _check(check: Check) -> Node:
    mark, role = _MARKS.get(Verdict(check.verdict), ("?", "busy")) if check.verdict in set(Verdict) else ("?", "busy")
    spans = [Span(f"{mark} {check.name}", role), Span(check.measured)]
    if check.verdict != Verdict.PASS and check.expected:
        spans.append(Span(f"(expected: {check.expected})", "faint"))
    return Node(tuple(span for span in spans if span.text))


def _slot(slot: Slot) -> Node:
    spans = [Span(slot.name, "faint"), Span("ready", "good") if slot.ready else Span("not ready", "busy")]
    if slot.sessions is not None:
        spans.append(Span("1 session" if slot.sessions == 1 else f"{slot.sessions} sessions"))
    return Node(tuple(spans))
