"""Conditions after kstatus: the transition time moves only when the status does."""

from dataapp_operator.api.conditions import Condition, find, settle


def condition(kind: str, status: str, at: str, message: str = "") -> Condition:
    return Condition.model_validate(
        {"type": kind, "status": status, "reason": "R", "message": message, "lastTransitionTime": at}
    )


def test_the_transition_time_moves_only_when_the_status_does() -> None:
    known = (condition("Ready", "True", "old"), condition("Stalled", "True", "old"))
    settled = settle([condition("Ready", "True", "new", "other words"), condition("Stalled", "False", "new")], known)
    assert [(c.type, c.status, c.last_transition_time, c.message) for c in settled] == [
        ("Ready", "True", "old", "other words"),
        ("Stalled", "False", "new", ""),
    ]


def test_a_condition_that_is_no_longer_wanted_goes_and_a_new_one_comes() -> None:
    settled = settle([condition("Ready", "True", "new")], [condition("Reconciling", "True", "old")])
    assert [c.type for c in settled] == ["Ready"]
    assert find(settled, "Ready") is settled[0]
    assert find(settled, "Reconciling") is None
