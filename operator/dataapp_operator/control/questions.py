"""An app's questions to Prometheus: each put again and again as long as a plan wants it, its answers counted.

What was counted for one step says nothing about the next: with another ``since`` the count begins anew.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace

from dataapp_operator.plan.actions import AskPrometheus, Question
from dataapp_operator.plan.analysis import fails
from dataapp_operator.plan.facts import QueryFacts, ReleaseKey

log = logging.getLogger(__name__)

Put = Callable[[AskPrometheus, Question], Awaitable[tuple[float | None, str]]]
"""Asks once: the number, or why there is none."""


@dataclass(slots=True)
class Questions:
    """What is asked now, and what was answered so far."""

    answers: dict[ReleaseKey, dict[str, QueryFacts]] = field(default_factory=dict)
    _wanted: dict[str, AskPrometheus] = field(default_factory=dict)

    def want(self, works: Iterable[AskPrometheus]) -> list[tuple[str, str]]:
        """From now on these and no others. Returns (environment, metric) of each that must be under way."""
        self._wanted = {work.environment: work for work in works}
        return [(work.environment, question.metric) for work in self._wanted.values() for question in work.questions]

    def forget(self, keep: set[ReleaseKey]) -> None:
        """Drop what is known about releases that are no longer of interest."""
        self.answers = {key: facts for key, facts in self.answers.items() if key in keep}

    async def pursue(self, environment: str, metric: str, *, put: Put, tell: Callable[[], None]) -> None:
        """Put one question until nobody wants it. ``tell`` is called after each answer."""
        while (found := self._current(environment, metric)) is not None:
            work, question = found
            try:
                value, trouble = await put(work, question)
            except Exception:
                log.exception("the query %s of %s broke off", metric, environment)
                value, trouble = None, "asking it broke off; it is asked again"
            self._note(work, question, value, trouble)
            tell()
            await asyncio.sleep(question.interval)

    def _current(self, environment: str, metric: str) -> tuple[AskPrometheus, Question] | None:
        work = self._wanted.get(environment)
        question = next((q for q in work.questions if q.metric == metric), None) if work is not None else None
        return None if work is None or question is None else (work, question)

    def _note(self, work: AskPrometheus, question: Question, value: float | None, trouble: str) -> None:
        known = self.answers.setdefault((work.environment, work.number), {})
        before = known.get(question.metric)
        if before is None or before.since != work.since:
            before = QueryFacts(since=work.since)
        if value is None:
            known[question.metric] = replace(before, trouble=trouble)
            return
        bad = fails(value, question.fail_when)
        known[question.metric] = QueryFacts(
            since=work.since,
            samples=before.samples + 1,
            failing_in_row=before.failing_in_row + 1 if bad else 0,
            value=value,
        )
