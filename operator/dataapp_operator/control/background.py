"""Slow work: session checks, looks through the gateway, what it can do, logs, questions to the fronts, reading code.

None of it runs inside a reconcile. A plan names what it wants; what is not running yet is started; what comes back is
kept as facts for the next decision and the key is queued again. All of it may be lost at any time: the next decision
asks again.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Coroutine, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from dataapp_operator.api.reasons import Reason
from dataapp_operator.api.verdict import Verdict
from dataapp_operator.control.abilities import Abilities
from dataapp_operator.control.questions import Questions
from dataapp_operator.plan.actions import (
    AskFronts,
    AskPrometheus,
    Background,
    ObserveGateway,
    ProveGateway,
    Question,
    ReadCode,
    ReadLog,
    StartCheck,
    Target,
)
from dataapp_operator.plan.facts import (
    CheckFacts,
    CodeFacts,
    FrontFacts,
    GatewayAbility,
    LogFacts,
    ReleaseKey,
    ViewFacts,
)

log = logging.getLogger(__name__)

ASK_EVERY = 2.0
"""Seconds between two questions to the same fronts."""
LOOKS = 150
"""Looks at a front that are remembered: five minutes of them."""
TELL_EVERY = 10.0
"""Seconds after which an unchanged answer is looked at again (time itself may have made a slot empty for long enough)."""

_PROVE = ("prove",)
_BROKE_OFF = "the look through the gateway broke off; it is tried again"

_READING_BROKE_OFF = "reading the code broke off; it is tried again"
READ_AGAIN = 5.0
"""Seconds until code that could not be read is read again; doubled each time."""
READ_AGAIN_MOST = 60.0

AppKey = tuple[str, str]
"""(namespace, app)"""


def _read(facts: CodeFacts | None, work: ReadCode | None) -> bool:
    """Whether a question about code has its last answer: code that cannot change by itself was read."""
    if work is None:
        return True
    if facts is None or facts.key != work.key or facts.trouble is not None or work.interval is not None:
        return False
    return work.request in {None, facts.request}


def _looked_at(answer: FrontFacts, before: FrontFacts | None, at: datetime) -> FrontFacts:
    """An answer of a front with what it had counted at the looks before."""
    now = tuple((at, counts) for _, counts in answer.counted)
    return replace(answer, at=at, counted=((before.counted if before is not None else ()) + now)[-LOOKS:])


class Senses(Protocol):
    """What slow work can find out; implemented over checks and kube, replaced in tests that inject faults."""

    async def check(self, app: AppKey, work: StartCheck) -> CheckFacts:
        """Open sessions on every slot of a release."""

    async def look(self, work: ObserveGateway) -> ViewFacts:
        """Look through the gateway."""

    async def prove(self, work: ProveGateway) -> GatewayAbility:
        """Find out what a Gateway does with cookies and headers."""

    async def read_log(self, app: AppKey, work: ReadLog) -> LogFacts:
        """The end of the log of a release."""

    async def ask(self, target: Target) -> FrontFacts:
        """One front's open sessions."""

    async def query(self, work: AskPrometheus, question: Question) -> tuple[float | None, str]:
        """The number that a question to Prometheus gives now, or why there is none."""

    async def read_code(self, app: AppKey, work: ReadCode, known: CodeFacts | None) -> CodeFacts:
        """The app's code as it is now; ``known``: the last answer to the same question."""


@dataclass(slots=True)
class _Desk:
    """What is known and under way for one app: the object with this uid, not a later one of its name."""

    uid: str = ""
    checks: dict[ReleaseKey, CheckFacts] = field(default_factory=dict)
    views: dict[str, ViewFacts] = field(default_factory=dict)
    logs: dict[ReleaseKey, LogFacts] = field(default_factory=dict)
    questions: Questions = field(default_factory=Questions)
    fronts: dict[str, FrontFacts] = field(default_factory=dict)
    tasks: dict[tuple[object, ...], asyncio.Task[None]] = field(default_factory=dict)
    asked: dict[str, tuple[Target, ...]] = field(default_factory=dict)
    proving: ProveGateway | None = None
    code: CodeFacts | None = None
    reading: ReadCode | None = None
    reading_changed: asyncio.Event = field(default_factory=asyncio.Event)


class Workbench:
    """Slow work of all apps. ``wake`` is called with an app's key when there is something new for it."""

    def __init__(
        self, senses: Senses, *, wake: Callable[[AppKey], None], jitter: Callable[[], float] = lambda: 1.0
    ) -> None:
        self._senses = senses
        self._wake = wake
        self._jitter = jitter
        self.abilities = Abilities()
        """What all apps know of the Gateways."""
        self._desks: dict[AppKey, _Desk] = {}

    def facts(self, app: AppKey, *, uid: str | None = None) -> _Desk:
        """What is known about an app so far. With another ``uid`` than before it is another app: nothing is known."""
        desk = self._desks.get(app)
        if desk is not None and uid is not None and desk.uid != uid:
            self.drop(app)
            desk = None
        if desk is None:
            desk = self._desks[app] = _Desk(uid=uid or "")
        return desk

    def start(self, app: AppKey, wanted: Iterable[Background]) -> None:
        """Start what is wanted and not under way; stop asking fronts nobody wants to hear of any more."""
        desk = self.facts(app)
        asked: dict[str, tuple[Target, ...]] = {}
        wanted = tuple(wanted)
        reading: ReadCode | None = None
        for work in wanted:
            match work:
                case AskFronts():
                    asked[work.environment] = work.targets
                case ReadCode():
                    reading = work
                case _:
                    self._start_once(app, desk, work)
        desk.asked = asked
        if asked:
            self._run(app, desk, ("fronts",), self._ask(app, desk))
        for question in desk.questions.want(work for work in wanted if isinstance(work, AskPrometheus)):
            pursuit = desk.questions.pursue(*question, put=self._senses.query, tell=lambda: self._wake(app))
            self._run(app, desk, ("query", *question), pursuit)
        if reading != desk.reading:
            desk.reading = reading
            desk.reading_changed.set()
        if reading is not None and not _read(desk.code, reading):
            self._run(app, desk, ("code",), self._read_code(app, desk))

    def leave_off(self, app: AppKey, wanted: Collection[Background]) -> None:
        """Before what it needs is taken away: stop asking what a Gateway can do, if nobody wants to know by this app now.

        A question that is still asked when its route has gone would find out that the Gateway obeys no such route.
        """
        desk = self._desks.get(app)
        if desk is not None and _PROVE in desk.tasks and desk.proving not in wanted:
            desk.tasks.pop(_PROVE).cancel()
            self.abilities.give_up(app)

    def _start_once(self, app: AppKey, desk: _Desk, work: Background) -> None:
        """Work that comes to an end by itself."""
        match work:
            case StartCheck():
                self._start_check(app, desk, work)
            case ObserveGateway():
                self._run(app, desk, ("look", work.environment, work.plan), self._look(app, desk, work))
            case ProveGateway():
                if self.abilities.claim(app, work.gateway) and work.ready and _PROVE not in desk.tasks:
                    desk.proving = work
                    self._run(app, desk, _PROVE, self._prove(work))
            case ReadLog():
                key = (work.environment, work.number)
                desk.logs.setdefault(key, LogFacts(running=True))
                self._run(app, desk, ("log", *key), self._read_log(app, desk, work))

    def forget(self, app: AppKey, keep: set[ReleaseKey]) -> None:
        """Drop what is known about releases that are no longer of interest."""
        desk = self.facts(app)
        desk.checks = {key: facts for key, facts in desk.checks.items() if key in keep}
        desk.logs = {key: facts for key, facts in desk.logs.items() if key in keep}
        desk.questions.forget(keep)

    def drop(self, app: AppKey) -> None:
        """The app is gone: stop everything."""
        desk = self._desks.pop(app, None)
        for task in desk.tasks.values() if desk else ():
            task.cancel()

    async def close(self) -> None:
        """Stop everything and wait until it has stopped."""
        tasks = [task for desk in self._desks.values() for task in desk.tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _run(self, app: AppKey, desk: _Desk, name: tuple[object, ...], work: Coroutine[Any, Any, None]) -> None:
        if name in desk.tasks:
            work.close()
            return

        def over(task: asyncio.Task[None]) -> None:
            if desk.tasks.get(name) is task:
                del desk.tasks[name]
            if task.cancelled():
                return
            if task.exception() is not None:
                log.error("%s/%s: %s broke off", *app, name[0], exc_info=task.exception())
            self._wake(app)

        task = asyncio.ensure_future(work)
        desk.tasks[name] = task
        task.add_done_callback(over)

    def _start_check(self, app: AppKey, desk: _Desk, work: StartCheck) -> None:
        key = (work.environment, work.number)
        known = desk.checks.get(key, CheckFacts())
        if known.running or known.attempt >= work.attempt:
            return
        desk.checks[key] = replace(known, running=True)
        self._run(app, desk, ("check", *key), self._check(app, desk, work))

    async def _check(self, app: AppKey, desk: _Desk, work: StartCheck) -> None:
        key = (work.environment, work.number)
        before = desk.checks[key]
        try:
            found = await self._senses.check(app, work)
        except Exception:
            log.exception("%s/%s: the session check of r%d broke off", *app, work.number)
            found = CheckFacts(verdict=Verdict.ERROR, message="the check itself broke off; it is tried again")
        # Only a session that works ends a row of failures: one that could not tell is no news.
        in_row = {Verdict.FAIL: before.failed_in_row + 1, Verdict.PASS: 0}.get(
            found.verdict or Verdict.ERROR, before.failed_in_row
        )
        now = datetime.now(UTC)
        failed_at = now if found.verdict is Verdict.FAIL else before.failed_at
        desk.checks[key] = replace(
            found, attempt=work.attempt, running=False, failed_in_row=in_row, failed_at=failed_at, finished_at=now
        )

    async def _look(self, app: AppKey, desk: _Desk, work: ObserveGateway) -> None:
        known = desk.views.get(work.environment)
        words = known.words if known and known.plan == work.plan else ""
        desk.views[work.environment] = ViewFacts(plan=work.plan, release=work.number, running=True, words=words)
        try:
            found = await self._senses.look(work)
            desk.views[work.environment] = found
            if work.gateway is not None and found.weighs is not None:
                self.abilities.weighed(work.gateway, weighs=found.weighs, words=found.words)
        except Exception:
            log.exception("%s/%s: the look through the gateway broke off", *app)
            desk.views[work.environment] = ViewFacts(plan=work.plan, release=work.number, words=_BROKE_OFF)
            await asyncio.sleep(ASK_EVERY)  # whoever is woken asks again at once

    async def _prove(self, work: ProveGateway) -> None:
        try:
            found = await self._senses.prove(work)
        except Exception:
            log.exception("what the Gateway %s/%s can do: the question broke off", *work.gateway.named)
            await asyncio.sleep(ASK_EVERY)  # whoever is woken asks again at once
            found = GatewayAbility(words=_BROKE_OFF)
        for app in self.abilities.learn(work.gateway, found):
            self._wake(app)

    async def _read_log(self, app: AppKey, desk: _Desk, work: ReadLog) -> None:
        key = (work.environment, work.number)
        try:
            desk.logs[key] = await self._senses.read_log(app, work)
        except Exception:
            log.exception("%s/%s: the log of r%d cannot be read", *app, work.number)
            desk.logs[key] = LogFacts()

    async def _read_code(self, app: AppKey, desk: _Desk) -> None:
        """Read the code, again and again while it may change by itself or could not be read, until nobody asks."""
        troubles = 0
        while (work := desk.reading) is not None:
            desk.reading_changed.clear()
            known = desk.code if desk.code is not None and desk.code.key == work.key else None
            try:
                found = await self._senses.read_code(app, work, known)
            except Exception:
                log.exception("%s/%s: reading the code broke off", *app)
                found = CodeFacts(key=work.key, trouble=(Reason.GIT_UNREACHABLE, _READING_BROKE_OFF), transient=True)
            desk.code = replace(found, request=work.request or (known.request if known else None))
            if desk.code != known:
                self._wake(app)
            if _read(desk.code, desk.reading):
                return
            troubles = troubles + 1 if found.trouble else 0
            pause = work.interval
            if troubles:  # never later than without trouble: whoever has mended it waits
                pause = min(READ_AGAIN * 2 ** min(troubles, 8), READ_AGAIN_MOST, pause or READ_AGAIN_MOST)
            with contextlib.suppress(TimeoutError):
                # A tenth of jitter, so that a thousand apps do not look in the same moment.
                await asyncio.wait_for(desk.reading_changed.wait(), (pause or 0.0) * self._jitter())

    async def _ask(self, app: AppKey, desk: _Desk) -> None:
        """Ask all fronts of interest, again and again, until nobody is interested."""
        told = asyncio.get_running_loop().time()
        while desk.asked:
            targets = [target for group in desk.asked.values() for target in group]
            answers = await asyncio.gather(*(self._ask_one(app, target) for target in targets))
            before = {name: facts.live for name, facts in desk.fronts.items()}
            at = datetime.now(UTC)
            desk.fronts = {
                target.pod: _looked_at(answer, desk.fronts.get(target.pod), at)
                for target, answer in zip(targets, answers, strict=True)
            }
            now = asyncio.get_running_loop().time()
            if before != {name: facts.live for name, facts in desk.fronts.items()} or now - told >= TELL_EVERY:
                told = now
                self._wake(app)
            await asyncio.sleep(ASK_EVERY)
        desk.fronts = {}

    async def _ask_one(self, app: AppKey, target: Target) -> FrontFacts:
        try:
            return await self._senses.ask(target)
        except Exception:
            log.exception("%s/%s: the front of %s could not be asked", *app, target.pod)
            return FrontFacts()
