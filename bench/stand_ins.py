"""The operator of this checkout as a process whose senses are stand-ins: `python -m bench.stand_ins`.

Fake pods have no app to open a session in and no session counter to ask, and no gateway leads to them. Here, and only to
measure the machine and its calls at a scale that no two cores could run for real, every session works and every look
through the gateway sees what it should, each after as long as real ones took; nothing is ever open on a pod. All else is
the real program: the Lease, the watches, the queue, the decisions, the writes.
"""

import asyncio
import os
import sys

from dataapp_operator.api.verdict import Verdict
from dataapp_operator.app import main, runtime
from dataapp_operator.control.background import AppKey
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

LATENCY = "BENCH_LATENCY_SECONDS"
"""The variable that says how long a check, or a look, takes."""
_QUIET = 86400.0


class StandIns:
    """`control.background.Senses` that find what there should be."""

    def __init__(self, *_: object) -> None:
        self._latency = float(os.environ[LATENCY])

    async def check(self, app: AppKey, work: StartCheck) -> CheckFacts:
        """Every session works."""
        del app
        await asyncio.sleep(self._latency)
        words = "a stand-in: no session was opened"
        return CheckFacts(verdict=Verdict.PASS, measured=words, expected=words, samples=work.samples)

    async def look(self, work: ObserveGateway) -> ViewFacts:
        """The gateway shows what the plan says."""
        await asyncio.sleep(self._latency)
        return ViewFacts(plan=work.plan, release=work.number, seen=True, words="a stand-in: no visit was made")

    async def prove(self, work: ProveGateway) -> GatewayAbility:
        """The gateway does everything."""
        del work
        await asyncio.sleep(self._latency)
        return GatewayAbility(pins=True, marks=True, words="a stand-in: no visit was made")

    async def read_log(self, app: AppKey, work: ReadLog) -> LogFacts:
        """Nobody writes one."""
        del app, work
        return LogFacts()

    async def ask(self, target: Target) -> FrontFacts:
        """Nothing is open on any pod, and has not been for long."""
        del target
        return FrontFacts(live=0, quiet_for=_QUIET)

    async def query(self, work: AskPrometheus, question: Question) -> tuple[float | None, str]:
        """No app of this bench asks."""
        raise NotImplementedError

    async def read_code(self, app: AppKey, work: ReadCode, known: CodeFacts | None) -> CodeFacts:
        """No app of this bench has any."""
        raise NotImplementedError


if __name__ == "__main__":
    runtime.ClusterSenses = StandIns  # type: ignore[assignment,misc]  # the one seam between it and the world
    sys.exit(main.main())
