"""Conditions, after kstatus.

``Ready`` is always there. ``Reconciling`` and ``Stalled`` exist only while they are True, and never together: tools
that know kstatus (Flux, Argo CD, ``kubectl wait``) then read an object of ours without knowing anything about us.
``lastTransitionTime`` moves only when ``status`` does.
"""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from dataapp_operator.api.base import Model, Timestamp

READY = "Ready"
RECONCILING = "Reconciling"
STALLED = "Stalled"
BUILT = "Built"
LAST_RELEASE_FAILED = "LastReleaseFailed"
LIMITED = "Limited"


class Condition(Model):
    """One condition, in the shape of ``metav1.Condition``."""

    type: str = Field(max_length=64)
    status: Literal["True", "False", "Unknown"]
    reason: str = Field(max_length=128)
    message: str = Field(default="", max_length=4096)
    observed_generation: int | None = None
    last_transition_time: Timestamp


def find(conditions: Iterable[Condition], condition_type: str) -> Condition | None:
    """The condition of that type, if there is one."""
    return next((c for c in conditions if c.type == condition_type), None)


def settle(wanted: Iterable[Condition], known: Iterable[Condition]) -> tuple[Condition, ...]:
    """The wanted conditions, each keeping the transition time of a known one whose status is the same."""
    before = {c.type: c for c in known}
    settled = []
    for condition in wanted:
        old = before.get(condition.type)
        if old is not None and old.status == condition.status:
            settled.append(condition.model_copy(update={"last_transition_time": old.last_transition_time}))
        else:
            settled.append(condition)
    return tuple(settled)
