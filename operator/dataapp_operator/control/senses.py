"""How slow work really finds things out: sessions on pods, visits through the gateway, logs, fronts."""

import asyncio
import math
from dataclasses import replace
from datetime import UTC, datetime

import aiohttp

from dataapp_operator.api.reasons import Reason
from dataapp_operator.api.verdict import Verdict
from dataapp_operator.checks import prometheus
from dataapp_operator.checks.abilities import Release, prove_abilities
from dataapp_operator.checks.cause import find_cause, join_reason, tail
from dataapp_operator.checks.fronts import read_sessions
from dataapp_operator.checks.gateway import bracketed, observe_plan
from dataapp_operator.checks.result import SessionResult
from dataapp_operator.checks.session import probe_session
from dataapp_operator.checks.shares import Expected, count_shares
from dataapp_operator.control.background import AppKey
from dataapp_operator.control.code_reading import CodeReader
from dataapp_operator.front.settings import PROBE_PORT
from dataapp_operator.kube.errors import KubeError
from dataapp_operator.kube.port import Cluster
from dataapp_operator.plan.actions import (
    AskPrometheus,
    ObserveGateway,
    ProveGateway,
    Question,
    ReadCode,
    ReadLog,
    StartCheck,
    Target,
)
from dataapp_operator.plan.facts import CheckFacts, CodeFacts, FrontFacts, GatewayAbility, LogFacts, ViewFacts

SESSION_TIMEOUT = 20.0
LOOK_TIMEOUT = 10.0
COUNT_TIMEOUT = 30.0
PROVE_TIMEOUT = 20.0
"""Seconds for which a gateway may go on not doing something until that is what it does: an hour's releases depend on it."""
LOG_LINES = 200
EXPECTED = {"fastapi": "an answer that describes the API, without an error"}
EXPECTED_OF_SESSION = "a session that shows a value, without an error"

_WORST_FIRST = (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.PASS)


class ClusterSenses:
    """Senses over a real cluster. ``client`` keeps no cookies: every visit is a new visitor."""

    def __init__(self, cluster: Cluster, client: aiohttp.ClientSession, reader: CodeReader | None = None) -> None:
        self._cluster = cluster
        self._client = client
        self._reader = reader

    async def read_code(self, app: AppKey, work: ReadCode, known: CodeFacts | None) -> CodeFacts:
        """The app's code as it is now."""
        if self._reader is None:
            words = "reading repositories is switched off in this cluster: set spec.image, or ask the platform team"
            return CodeFacts(key=work.key, trouble=(Reason.SOURCE_MISSING, words))
        return await self._reader.read(app, work, known)

    async def check(self, app: AppKey, work: StartCheck) -> CheckFacts:
        """Open sessions on every slot; the worst answer counts."""
        rounds = math.ceil(work.samples / len(work.targets))
        per_slot = await asyncio.gather(*(self._slot(work, target, rounds) for target in work.targets))
        answers = [(target, result) for target, results in per_slot for result in results]
        target, worst = min(answers, key=lambda answer: _WORST_FIRST.index(answer[1].verdict))
        message = worst.message
        lines: tuple[str, ...] = ()
        if worst.verdict is not Verdict.PASS:
            text = await self._log(app, target.pod)
            lines = tuple(tail(text).splitlines())
            if worst.verdict is Verdict.FAIL:
                message = join_reason(worst.message, find_cause(text))
        return CheckFacts(
            verdict=worst.verdict,
            measured=worst.measured,
            expected=EXPECTED.get(work.framework, EXPECTED_OF_SESSION),
            message=message,
            samples=len(answers),
            log=lines,
        )

    async def _slot(self, work: StartCheck, target: Target, rounds: int) -> tuple[Target, list[SessionResult]]:
        results = []
        for _ in range(rounds):
            url = f"http://{bracketed(target.ip)}:{PROBE_PORT}"
            result = await probe_session(
                work.framework, url, host=work.host, timeout=SESSION_TIMEOUT, client=self._client
            )
            results.append(result)
            if result.verdict is not Verdict.PASS:
                break
        return target, results

    async def look(self, work: ObserveGateway) -> ViewFacts:
        """Visit the app through its gateway; where it is wanted, often enough to see how new visits are shared out."""
        view = await observe_plan(
            door=_door(work.address),
            host=work.host,
            plan=work.plan,
            releases=work.among or (work.number,),
            timeout=LOOK_TIMEOUT,
            client=self._client,
        )
        facts = ViewFacts(plan=work.plan, release=work.number, seen=view.seen, words=view.detail)
        if not view.seen or not work.weigh:
            return facts
        shares = await count_shares(
            [Expected(share.number, share.weight, share.slots) for share in work.weigh],
            door=_door(work.address),
            host=work.host,
            plan=work.plan,
            timeout=COUNT_TIMEOUT,
            client=self._client,
        )
        return replace(facts, seen=shares.fits is not None, words=shares.detail, weighs=shares.weighs)

    async def prove(self, work: ProveGateway) -> GatewayAbility:
        """What a Gateway does with cookies and headers."""
        view = await prove_abilities(
            Release(number=work.number, slots=work.slots, host=work.host, cookie=work.cookie),
            door=_door(work.address),
            refused=work.refused,
            timeout=PROVE_TIMEOUT,
            client=self._client,
        )
        return GatewayAbility(pins=view.pins, marks=view.marks, words=view.words)

    async def read_log(self, app: AppKey, work: ReadLog) -> LogFacts:
        """The log of the first pod that says why it failed."""
        lines: tuple[str, ...] = ()
        for name in work.pods:
            text = await self._log(app, name)
            lines = lines or tuple(tail(text).splitlines())
            cause = find_cause(text)
            if cause:
                return LogFacts(cause=cause, lines=tuple(tail(text).splitlines()))
        return LogFacts(lines=lines)

    async def _log(self, app: AppKey, pod: str) -> str:
        """The log of the app's container: of this run, or where that says nothing yet, of the one before."""
        namespace, _ = app
        try:
            now = await self._cluster.log(namespace, pod, "app", tail_lines=LOG_LINES)
            if find_cause(now):
                return now
            before = await self._cluster.log(namespace, pod, "app", tail_lines=LOG_LINES, previous=True)
        except KubeError:
            return ""
        return before if find_cause(before) or not now else now

    async def ask(self, target: Target) -> FrontFacts:
        """One front's open sessions; unknown when it does not answer."""
        found = await read_sessions(target.ip, client=self._client)
        if found is None:
            return FrontFacts()
        counted = () if found.counts is None else ((datetime.now(UTC), found.counts),)
        return FrontFacts(live=found.live, quiet_for=found.quiet_for, counted=counted)

    async def query(self, work: AskPrometheus, question: Question) -> tuple[float | None, str]:
        """The number that Prometheus gives now."""
        answer = await prometheus.ask(work.address, question.query, client=self._client)
        return answer.value, answer.trouble


def _door(address: str) -> str:
    """The URL of a Gateway's entry page, from its address as facts have it."""
    scheme, found, rest = address.rpartition("://")
    host, _, port = rest.rpartition(":")
    return f"{scheme if found else 'http'}://{bracketed(host.strip('[]'))}:{port}/"
