"""Slow work: sessions, looks through the gateway, logs, fronts. It is done at once, and forgotten with the operator."""

from dataclasses import replace
from datetime import datetime

from dataapp_operator.api.reasons import Phase
from dataapp_operator.api.verdict import Verdict
from dataapp_operator.front.settings import WITHIN
from dataapp_operator.plan import names, routes
from dataapp_operator.plan.actions import AskFronts, ObserveGateway, ProveGateway, ReadLog, StartCheck
from dataapp_operator.plan.facts import CheckFacts, Counts, FrontFacts, GatewayAbility, LogFacts, ViewFacts
from tests.property.cluster import Cluster, Pod, kind_of


class SlowWork(Cluster):
    """What the operator does beside its calls."""

    def die(self) -> None:
        """The operator is killed: everything it only remembered is gone."""
        self.ability = GatewayAbility()
        self.checks.clear()
        self.views.clear()
        self.logs.clear()
        self.fronts.clear()

    def _start(self, work) -> None:
        match work:
            case StartCheck():
                self._check(work)
            case ObserveGateway():
                route = self.programmed.get(names.weights_route("sales", work.environment))
                seen = (
                    route is not None
                    and all(self._slot_of(b)[1] in (work.among or {work.number}) for b in routes.backends_of(route))
                    and self._plan_of(route) == work.plan
                    and self._backends_ready(route) > 0
                )
                seen = seen and self.marks
                weighs = self.weighs if seen and work.weigh else None
                self.views[work.environment] = ViewFacts(
                    plan=work.plan, release=work.number, seen=seen, words="502", weighs=weighs
                )
                if weighs is not None:
                    self._learn(weighs=weighs, weighed="50 of 100 came to it")
            case ProveGateway():
                self._prove(work)
            case ReadLog():
                self.logs[(work.environment, work.number)] = LogFacts(cause="it is broken", lines=("it is broken",))
            case AskFronts():
                for target in work.targets:
                    pod = self.pods.get(target.pod)
                    if pod is not None and self.fronts_answer:
                        quiet = (self.now - pod.quiet_since).total_seconds() if pod.quiet_since else 0.0
                        counted = (*self._counted(pod), (self.now, self._counts(pod)))
                        self.fronts[pod.name] = FrontFacts(
                            live=pod.sessions, quiet_for=quiet, at=self.now, counted=counted
                        )
                    else:
                        self.fronts[target.pod] = FrontFacts()

    def _prove(self, work: ProveGateway) -> None:
        """Visits to the preview host of a release, once its routes are in place."""
        if not work.ready:
            return
        name = names.preview_route("sales", work.environment, work.number)
        if name not in self.programmed or not self._backends_ready(self.programmed[name]):
            return
        if not self.marks:
            self._learn(marks=False, pins=None, words="none of the answers has it")
        elif work.refused:
            self._learn(marks=True, pins=False, words=work.refused)
        elif names.proof_route("sales", work.environment, work.number) in self.programmed:
            self._learn(marks=True, pins=self.pins == "led", words=f"cookies are {self.pins}")

    def _learn(self, **found: object) -> None:
        known = self.ability if self.ability_of == self.gateway_generation else GatewayAbility()
        self.ability = replace(known, **found)
        self.ability_of, self.ability_at = self.gateway_generation, self.now

    def _counted(self, pod: Pod) -> tuple[tuple[datetime, Counts], ...]:
        """What was heard of its counts before."""
        before = self.fronts.get(pod.name)
        return before.counted if before is not None else ()

    def _counts(self, pod: Pod) -> Counts:
        """Since it began, as many answers a second as people would ask for, all of them failures where it is sick."""
        answers = int((self.now - pod.born).total_seconds()) * 5
        sick = kind_of(pod.image) == "sick"
        return Counts(answers=answers, errors=answers if sick else 0, timed=answers, within=(answers,) * len(WITHIN))

    def _check(self, work: StartCheck) -> None:
        key = (work.environment, work.number)
        behaviour = kind_of(self.images[key])
        memory = self.status.environment(work.environment)
        baking = memory.phase in {Phase.RELEASING, Phase.BAKING} and memory.intent is None
        verdict = {
            "good": Verdict.PASS,
            "sick": Verdict.PASS,
            "late": Verdict.FAIL if baking else Verdict.PASS,
            "session": Verdict.FAIL,
            "silent": Verdict.INCONCLUSIVE,
        }.get(behaviour, Verdict.ERROR)
        before = self.checks.get(key, CheckFacts())
        self.checks[key] = CheckFacts(
            attempt=work.attempt,
            verdict=verdict,
            measured="output total = 3",
            expected="an output",
            message="" if verdict is Verdict.PASS else "there is no package called 'janitor'",
            samples=work.samples,
            failed_in_row=before.failed_in_row + 1 if verdict is Verdict.FAIL else 0,
            failed_at=self.now if verdict is Verdict.FAIL else before.failed_at,
            finished_at=self.now,
        )
