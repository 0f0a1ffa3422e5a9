"""The steps of a release: one at a time, each with its evidence, each seen before it is believed."""

import re
from dataclasses import dataclass, field
from datetime import datetime

from dataapp_operator.api.base import instant, seconds
from dataapp_operator.api.dataapp import CanaryStep
from dataapp_operator.api.reasons import Phase
from dataapp_operator.api.status import SCALE, EnvironmentStatus, Weight
from dataapp_operator.api.verdict import Verdict
from dataapp_operator.plan import names, routes
from dataapp_operator.plan.facts import CheckFacts
from tests.property.alone import Alone
from tests.property.cluster import Violation

STEPS = (Phase.PENDING, Phase.DEPLOYING, Phase.CHECKING, Phase.RELEASING, Phase.BAKING)
SAMPLES = 3
"""Sessions that must have worked before anybody is sent to a release."""


@dataclass
class Steps(Alone):
    """From what is persisted to what is about to be, one environment at a time."""

    shown: dict[tuple[str, int], datetime] = field(default_factory=dict)
    """Since when status has said of a release on its way that it can be looked at."""

    def _check_steps(self, before: EnvironmentStatus, memory: EnvironmentStatus) -> None:
        self._note_hold(before, memory)
        if memory.stable != before.stable:
            self._check_stable(before, memory)
        if memory.plan != before.plan or (memory.weights and memory.weights != before.weights):
            self._check_switch(memory)
        if memory.intent is not None and memory.intent != before.intent:
            given = max(before.plan, before.intent.plan if before.intent is not None else 0)
            if memory.intent.plan <= given:
                raise Violation(f"plan {memory.intent.plan} of {memory.name} is given a second time")
        if memory.candidate is not None and memory.candidate != before.candidate:
            self._check_first_step(before, memory)
        elif memory.candidate is not None and memory.phase != before.phase:
            if STEPS.index(Phase(memory.phase)) != STEPS.index(Phase(before.phase)) + 1:
                raise Violation(f"r{memory.candidate} in {memory.name} goes from {before.phase} to {memory.phase}")
            if memory.phase == Phase.RELEASING:
                self._check_evidence(before)
                self._check_hold(before)
                self._check_first_share(memory)
            if memory.phase == Phase.BAKING and memory.weights != (Weight(release=memory.candidate, weight=SCALE),):
                raise Violation(f"r{memory.candidate} in {memory.name} bakes, and not everybody comes to it")
        elif memory.candidate is not None and memory.phase == Phase.RELEASING and memory.step != before.step:
            self._check_next_share(before, memory)
        if before.phase == Phase.BAKING and memory.phase == Phase.RELEASED and before.intent is None:
            self._check_bake(before)

    def _note_hold(self, before: EnvironmentStatus, memory: EnvironmentStatus) -> None:
        """A hold begins once, and its end does not move."""
        if memory.hold_until is None:
            return
        key, checked = (
            (memory.name, memory.candidate),
            (memory.candidate, memory.phase) == (before.candidate, "Checking"),
        )
        if memory.phase != Phase.CHECKING or (before.hold_until not in {None, memory.hold_until} and checked):
            raise Violation(f"the hold of r{memory.candidate} in {memory.name} begins anew")
        if before.hold_until is None:
            self._check_evidence(memory)
            self.shown[key] = self.now.replace(microsecond=0)

    def _check_hold(self, before: EnvironmentStatus) -> None:
        """It could be looked at for its time; but for a first release, one that comes back, or where a person said so."""
        key = (before.name, before.candidate)
        hold = seconds(self.releases[key][0].plan.hold) if key in self.releases else 0
        former = {e.release for e in (*before.draining, *before.warm)}
        spared = before.stable is None or before.candidate in former or self._said("promote-full", before)
        serving = any(self._slot_ready(slot) for slot in self.services if slot[:2] == (before.name, before.stable))
        if hold == 0 or spared or not serving:
            return
        if key not in self.shown or (self.now - self.shown[key]).total_seconds() < hold:
            raise Violation(f"r{before.candidate} in {before.name} is let go on before its hold is over")

    def _canary(self, memory: EnvironmentStatus) -> tuple[CanaryStep, ...]:
        record = self.releases.get((memory.name, memory.candidate))
        return record[0].plan.steps if record is not None else ()

    def _said(self, command: str, memory: EnvironmentStatus) -> str:
        """What a person says with a command to the release on its way; empty, if it means another or none."""
        found = re.search(rf"\b{memory.name}=({memory.candidate}\b[^,@]*)", self.commands.get(command, ""))
        return found[1] if found else ""

    def _check_first_share(self, memory: EnvironmentStatus) -> None:
        """A canary begins with its first step; all at once come to what has none, is the first, or comes back."""
        steps, intent = self._canary(memory), memory.intent
        former = {e.release for e in (*memory.draining, *memory.warm)}
        if not steps or memory.stable is None or memory.candidate in former or self._said("promote-full", memory):
            return
        if intent.weight is None and not self.weighs:
            return
        if intent.weight is None and (memory.name, memory.stable) not in self.answering:
            return
        if (memory.step, intent.weight) != (0, steps[0].weight * 10):
            raise Violation(f"r{memory.candidate} in {memory.name} begins with step {memory.step}, {intent.weight}")

    def _check_next_share(self, before: EnvironmentStatus, memory: EnvironmentStatus) -> None:
        """One step further, or to the end where a person said so: after its time, with a session that worked in it."""
        steps, intent = self._canary(memory), memory.intent
        if not self.weighs and memory.step == len(steps) and intent is not None and intent.weight is None:
            return  # no step means anything
        if memory.step not in {before.step + 1, len(steps)} or before.intent is not None or intent is None:
            raise Violation(f"r{memory.candidate} in {memory.name} goes from step {before.step} to {memory.step}")
        weight = steps[memory.step].weight * 10 if memory.step < len(steps) else None
        if intent.switch_to != memory.candidate or intent.weight != weight:
            raise Violation(f"r{memory.candidate} in {memory.name} gets {intent.weight} in step {memory.step}")
        began, step = instant(before.phase_since), steps[before.step]
        if not self._said("promote-full", before):
            if memory.step != before.step + 1:
                raise Violation(f"r{memory.candidate} in {memory.name} leaves steps out, and nobody said so")
            if (self.now - began).total_seconds() < seconds(step.hold):
                raise Violation(f"r{memory.candidate} in {memory.name} leaves step {before.step} too early")
            if step.pause and self._said("resume", before) != f"{before.candidate}.{before.step}":
                raise Violation(f"r{memory.candidate} in {memory.name} goes on from a pause, and nobody said so")
        if self._said("pause", before):
            raise Violation(f"r{memory.candidate} in {memory.name} takes a step, and is paused")
        check = self.checks.get((before.name, before.candidate), CheckFacts())
        if check.verdict is not Verdict.PASS or check.finished_at < began:
            raise Violation(f"r{memory.candidate} in {memory.name} takes a step without a session that worked")
        self._check_whole(before, "takes a step")

    def _check_first_step(self, before: EnvironmentStatus, memory: EnvironmentStatus) -> None:
        """What is new is deployed; what is still there need only be checked.

        Only what failed, and keeps its visitors, makes room for another candidate; it comes back as it was.
        """
        parked = before.stuck
        if parked is not None and memory.candidate == parked.release and before.candidate is None:
            if (memory.phase, memory.step, memory.intent) != (parked.phase, parked.step, parked.intent):
                raise Violation(f"r{memory.candidate} in {memory.name} comes back, and is not where it was")
            return
        if parked is not None and before.candidate == parked.release and memory.stuck is not None:
            before = before.model_copy(update={"candidate": None})
        if before.phase == Phase.PENDING and before.intent is None:  # what only waits may make way for something newer
            before = before.model_copy(update={"candidate": None})
        former = {e.release for e in (*before.draining, *before.warm)}
        first = {Phase.DEPLOYING, Phase.CHECKING} if memory.candidate in former else {Phase.DEPLOYING}
        first |= {Phase.PENDING} if self._is_alone(memory.name, memory.candidate) else set()
        if before.candidate is not None or memory.phase not in first:
            raise Violation(f"r{memory.candidate} begins in {memory.name} as {memory.phase}, after r{before.candidate}")
        if memory.candidate in memory.removing:
            raise Violation(f"r{memory.candidate} begins in {memory.name} while it is being removed")

    def _check_stable(self, before: EnvironmentStatus, memory: EnvironmentStatus) -> None:
        """It changes only when a bake has ended well; in an environment that has none, with the first visitors."""
        leaves = self.leaving is not None or self.deleting
        if leaves or not any(e.name == memory.name for e in self.spec.environments):
            return
        same = before.stopped is not None and self._content(before, before.stable) == self._content(
            before, memory.stable
        )
        if (before.stable is None or same) and before.candidate == memory.stable and before.phase == Phase.RELEASING:
            self._check_switch(memory)
        elif before.candidate != memory.stable or before.phase != Phase.BAKING or before.intent is not None:
            raise Violation(f"stable of {memory.name} went from r{before.stable} to r{memory.stable} without a bake")

    @staticmethod
    def _content(memory: EnvironmentStatus, number: int | None) -> tuple[str, str] | None:
        artefact = memory.artefact(number)
        return (artefact.image, artefact.config_hash) if artefact is not None else None

    def _check_switch(self, memory: EnvironmentStatus) -> None:
        """A switch that status calls done is one that visitors see."""
        if not memory.weights:
            raise Violation(f"{memory.name} says plan {memory.plan} is done, and nobody is served")
        name, served = names.weights_route("sales", memory.name), {w.release: w.weight for w in memory.weights}
        written, found = self.routes.get(name), self.programmed.get(name)
        if written is None or not self._leads(written[0], served, memory.plan):
            raise Violation(f"{memory.name} says plan {memory.plan} is done, and the route is another one")
        if not self.gateway_accepts or (self.now - written[2]).total_seconds() < 1:
            raise Violation(f"{memory.name} says plan {memory.plan} is done, and the gateway has not accepted it")
        view = self.views.get(memory.name)
        if view is None or not view.seen or view.plan != memory.plan or view.release not in served:
            raise Violation(f"{memory.name} says plan {memory.plan} is done, and nobody has seen it")
        if found is None or not self._leads(found, served, memory.plan):
            raise Violation(f"{memory.name} says plan {memory.plan} is done, and visitors find another one")

    def _leads(self, route: dict, shares: dict[int, int], plan: int) -> bool:
        found: dict[int, int] = {}
        for backend, weight in routes.backends_of(route).items():
            number = self._slot_of(backend)[1]
            found[number] = found.get(number, 0) + weight
        return found == shares and self._plan_of(route) == plan

    def _check_evidence(self, before: EnvironmentStatus) -> None:
        """Nobody is sent to a release on which no session was seen to work, or that is not whole."""
        key = (before.name, before.candidate)
        check = self.checks.get(key, CheckFacts())
        worked = check.verdict is Verdict.PASS and check.samples >= SAMPLES
        if not worked or check.finished_at < instant(before.phase_since):
            raise Violation(f"r{before.candidate} in {before.name} is let go on, and no session worked on it")
        self._check_whole(before, "is let go on")

    def _check_bake(self, before: EnvironmentStatus) -> None:
        """A bake ends well after its whole time, with a session that worked since it began, on ready replicas."""
        record = self.releases.get((before.name, before.candidate))
        if record is None:
            return
        began = instant(before.phase_since)
        if (self.now - began).total_seconds() < seconds(record[0].plan.bake):
            raise Violation(f"r{before.candidate} ended its bake too early")
        check = self.checks.get((before.name, before.candidate), CheckFacts())
        if check.verdict is not Verdict.PASS or check.finished_at < began:
            raise Violation(f"r{before.candidate} ended its bake without a session that worked")
        if self._said("pause", before):
            raise Violation(f"r{before.candidate} ended its bake, and is paused")
        self._check_whole(before, "ended its bake")

    def _check_whole(self, before: EnvironmentStatus, what: str) -> None:
        record = self.releases.get((before.name, before.candidate))
        begun = tuple(range(record[0].plan.slots if record else 0))
        serving = next((s.serving for s in before.scales if s.release == before.candidate), begun)
        for label in (names.slot_label(index) for index in serving):
            slot = (before.name, before.candidate, label)
            if slot not in self.services or not self._slot_ready(slot):
                raise Violation(f"r{before.candidate} {what} while {label} is away")
            if slot in self.deployments:
                begun = record[0].plan.replicas if record else 1
                working = sum(self._ready(pod) for pod in self.pods.values() if pod.slot == slot)
                if working < min(begun, max(self.deployments[slot].replicas, 1)):
                    raise Violation(f"r{before.candidate} {what} with {working} pods, and it began with {begun}")
