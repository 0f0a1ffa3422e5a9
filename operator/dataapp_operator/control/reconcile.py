"""The loop body: observe, decide, apply in the plan's order, status last.

A pass either completes or is cut off by an error; both are fine, the next one observes what there is. The kinds of
errors decide what happens then: a conflict or a passing trouble comes back with growing pauses, a refusal of the API
server is put into words on the app and waits for a change, a bug concerns that one app only.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from dataapp_operator.api.base import timestamp
from dataapp_operator.api.conditions import READY, STALLED, Condition, settle
from dataapp_operator.api.reasons import Reason
from dataapp_operator.control.apply import Applier
from dataapp_operator.control.background import AppKey, Workbench
from dataapp_operator.control.observe import InvalidAppError, Observer
from dataapp_operator.control.telling import Teller
from dataapp_operator.kube.errors import Conflict, LeaseLost, Missing, NotServed, Rejected, Transient
from dataapp_operator.kube.kinds import DATAAPP, HTTPROUTE
from dataapp_operator.kube.queue import Failed, Ok, RequeueAfter, Result
from dataapp_operator.kube.store import Store
from dataapp_operator.plan.actions import Action, Delete, Hold, Plan
from dataapp_operator.plan.decide import decide
from dataapp_operator.plan.facts import Observed
from dataapp_operator.plan.upkeep import live

log = logging.getLogger(__name__)

LOOK_AGAIN = 60.0
"""Seconds until something the API server refused is tried again without a change."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a pass ended: for the queue, and as a word for metrics."""

    result: Result
    word: str


class Reconciler:
    """Brings one app a step further. Safe to run for different apps at once, for one app once at a time."""

    def __init__(
        self,
        *,
        store: Store,
        observer: Observer,
        applier: Applier,
        workbench: Workbench,
        teller: Teller,
        on_pass: Callable[[str, float], None] = lambda _word, _seconds: None,
    ) -> None:
        self._store = store
        self._observer = observer
        self._applier = applier
        self._workbench = workbench
        self._teller = teller
        self._on_pass = on_pass
        self._rejections: dict[AppKey, dict[str, str]] = {}

    async def reconcile(self, app: AppKey) -> Result:
        """One pass over one app. Raises only LeaseLost: everything else is an outcome."""
        began = time.monotonic()
        try:
            outcome = await self._pass(app)
        except LeaseLost:
            raise
        except (Conflict, Missing) as error:
            log.debug("%s/%s: observing again: %s", *app, error)
            outcome = Outcome(Failed(), "conflict")
        except NotServed as error:
            self._observer.gateway_api = self._observer.gateway_api and error.kind != HTTPROUTE
            outcome = Outcome(Failed(), "not_served")
        except Transient as error:
            log.warning("%s/%s: trying again: %s", *app, error)
            outcome = Outcome(Failed(at_least=error.retry_after), "transient")
        except Exception:
            log.exception("%s/%s: a bug in the operator; other apps go on", *app)
            outcome = Outcome(Failed(), "bug")
        self._on_pass(outcome.word, time.monotonic() - began)
        return outcome.result

    async def _pass(self, app: AppKey) -> Outcome:
        rejected = self._rejections.pop(app, {})
        try:
            observed = self._observer.observe(app, {})
        except InvalidAppError as error:
            return await self._say_invalid(app, str(error))
        if observed is None:
            self._workbench.drop(app)
            self._teller.forget(app)
            return Outcome(Ok(), "gone")
        plan = decide(observed)
        self._workbench.leave_off(app, plan.background)
        refusals = await self._act(app, plan)
        if refusals and observed.uid in self._observer.unholdable and observed.holdable:
            # Its deletion will not wait for sessions, and nothing else waits for that: the next pass does without.
            log.warning("%s/%s: the finalizer is refused, its deletion ends sessions: %s", *app, refusals)
            return Outcome(RequeueAfter(0.05), "refused")
        if refusals:
            # Decide again, knowing what was refused: the plan's own status would claim what did not happen.
            again = self._observer.observe(app, refusals)
            if again is None:
                return Outcome(Ok(), "gone")
            observed, plan = again, decide(again)
            self._rejections[app] = refusals
            if refusals != rejected:
                log.warning("%s/%s: the API server refuses: %s", *app, refusals)
        await self._write(observed, plan)
        self._work(app, plan)
        await self._teller.tell(observed, plan)
        for note in plan.notes:
            log.info("%s/%s: %s", *app, note)
        if refusals:
            return Outcome(RequeueAfter(LOOK_AGAIN), "refused")
        if plan.requeue_after is not None:
            return Outcome(RequeueAfter(max(plan.requeue_after, 0.05)), "ok")
        return Outcome(Ok(), "ok")

    async def _act(self, app: AppKey, plan: Plan) -> dict[str, str]:
        """Carry the actions out in order; a refused one is noted and the others go on (they do not need each other)."""
        refusals: dict[str, str] = {}
        for action in plan.actions:
            try:
                await self._applier.act(app[0], action)
            except Rejected as error:
                refusals[_named(action)] = error.message
                if isinstance(action, Hold):
                    self._observer.unholdable.add(action.uid)
        return refusals

    async def _write(self, observed: Observed, plan: Plan) -> None:
        for record in plan.records:
            try:
                await self._applier.record(observed.namespace, record)
            except Missing:
                log.info("%s/%s: the record %s was deleted", observed.namespace, observed.name, record.name)
            except Rejected as error:
                # A projection that cannot be written must not hold up the release that it tells of.
                log.error("%s/%s: the record %s: %s", observed.namespace, observed.name, record.name, error)  # noqa: TRY400
        if plan.status != observed.status:
            await self._applier.status(observed.namespace, observed.name, observed.resource_version, plan.status.wire())

    def _work(self, app: AppKey, plan: Plan) -> None:
        keep = {(memory.name, number) for memory in plan.status.environments for number in live(memory)}
        keep |= {(m.name, m.candidate) for m in plan.status.environments if m.candidate is not None}
        self._workbench.forget(app, keep)
        self._workbench.start(app, plan.background)

    async def _say_invalid(self, app: AppKey, words: str) -> Outcome:
        """A spec this version cannot read: say so on the object; leave everything that runs as it is."""
        manifest = self._store.get(DATAAPP, *app)
        if manifest is None:
            return Outcome(Ok(), "gone")
        metadata = manifest["metadata"]
        before = manifest.get("status") or {}
        try:
            known = [Condition.model_validate(c) for c in before.get("conditions") or []]
        except ValueError:
            known = []
        wanted = [
            Condition.model_validate(
                {
                    "type": kind,
                    "status": "False" if kind == READY else "True",
                    "reason": str(Reason.INVALID_SPEC),
                    "message": f"{words}. What runs is left as it is",
                    "observedGeneration": metadata["generation"],
                    "lastTransitionTime": timestamp(datetime.now(UTC)),
                }
            )
            for kind in (READY, STALLED)
        ]
        # Onto the status as it is, which this version perhaps cannot read: it is the only memory there is.
        status = before | {
            "conditions": [condition.wire() for condition in settle(wanted, known)],
            "observedGeneration": metadata["generation"],
        }
        if status != before:
            await self._applier.status(*app, metadata["resourceVersion"], status)
        return Outcome(Ok(), "invalid")


def _named(action: Action) -> str:
    """The object an action is about: "Kind name"."""
    if isinstance(action, Delete):
        return f"{action.kind} {action.name}"
    if isinstance(action, Hold):
        return f"DataApp {action.name}"
    return f"{action.manifest['kind']} {action.manifest['metadata']['name']}"
