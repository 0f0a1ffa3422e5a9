"""The record of a release: evidence is added and kept, and a repeated pass writes nothing."""

from dataclasses import replace

from dataapp_operator.api.verdict import Verdict
from dataapp_operator.plan.decide import decide
from dataapp_operator.plan.facts import CheckFacts, LogFacts
from tests.unit.plan_rig import at_phase, fresh, image, released


def record(world, number: int, name: str = "env0"):
    return world.releases[(name, number)][1]


def test_the_timeline_of_a_good_release_and_of_the_one_before_it() -> None:
    world = released()
    world.push(image("good", 2))
    world.settle()
    assert [e.phase for e in record(world, 2).timeline] == ["Deploying", "Checking", "Releasing", "Baking", "Released"]
    assert [e.phase for e in record(world, 1).timeline] == [
        "Deploying",
        "Checking",
        "Releasing",
        "Released",
        "Draining",
        "Retired",
    ]
    times = [e.at for e in record(world, 2).timeline]
    assert times == sorted(times)


def test_a_long_story_keeps_its_end() -> None:
    world = at_phase("Checking")
    s, status, uid = world.releases[("env0", 2)]
    entry = status.timeline[-1].model_copy(update={"phase": "Deploying"})
    world.releases[("env0", 2)] = (s, status.model_copy(update={"timeline": (entry,) * 40}), uid)
    plan = decide(world.observe())
    told = next(r.status for r in plan.records if r.number == 2)
    assert len(told.timeline) == 32
    assert told.timeline[-1].phase == "Checking"


def test_evidence_outlives_the_operator() -> None:
    world = at_phase("Baking")
    world.reconcile()
    before = record(world, 2).checks
    assert [(c.name, c.verdict, c.measured) for c in before] == [
        ("session", "pass", "output total = 3"),
        ("gateway", "pass", "cookies are led"),
    ]
    world.die()
    world.reconcile()
    world.tick(1)
    assert record(world, 2).checks == before


def test_a_session_that_works_again_and_again_is_one_piece_of_evidence() -> None:
    world = at_phase("Baking")
    for _ in range(3):
        world.reconcile()
    checks = record(world, 2).checks
    world.checks[("env0", 2)] = replace(world.checks[("env0", 2)], attempt=9, measured="output total = 4")
    plan = decide(world.observe())
    told = next((r.status for r in plan.records if r.number == 2), record(world, 2))
    assert told.checks == checks
    world.checks[("env0", 2)] = CheckFacts(attempt=10, verdict=Verdict.FAIL, message="boom", failed_in_row=1)
    told = next(r.status for r in decide(world.observe()).records if r.number == 2)
    assert [(c.verdict, c.measured) for c in told.checks] == [("fail", "boom"), ("pass", "cookies are led")]


def test_a_pass_in_which_nothing_happened_writes_no_record() -> None:
    for world in (released(), at_phase("Baking")):
        for _ in range(3):
            world.reconcile()
        plan = decide(world.observe())
        assert plan.records == ()
        assert plan.status == world.status


def test_a_failure_says_what_was_seen_what_was_expected_and_what_to_do() -> None:
    world = fresh("session")
    world.settle()
    told = record(world, 1)
    assert (told.phase, told.reason, told.weight) == ("Failed", "SessionFailed", "0")
    assert told.message == "there is no package called 'janitor'"
    assert told.summary == "SessionFailed: there is no package called 'janitor'"
    assert told.next_step
    assert [(c.verdict, c.expected) for c in told.checks] == [("fail", "an output")]
    assert told.slots == ()
    assert told.preview_url is None, "nothing is there to look at"


def test_a_crash_is_told_with_the_cause_from_its_log() -> None:
    world = fresh("crash")
    world.settle()
    told = record(world, 1)
    assert told.reason == "Crashed"
    assert told.message.startswith("it is broken (the app ended by itself")
    assert told.log == ("it is broken",)


def test_the_log_of_a_failure_is_kept_through_a_second_telling() -> None:
    world = at_phase("Checking", kind="session")
    world.logs[("env0", 2)] = LogFacts(lines=tuple(str(n) for n in range(30)))
    world.checks[("env0", 2)] = CheckFacts(verdict=Verdict.FAIL, message="boom")
    world.reconcile()
    assert record(world, 2).log == tuple(str(n) for n in range(10, 30))
    world.die()
    world.settle()
    assert record(world, 2).log == tuple(str(n) for n in range(10, 30))
    assert record(world, 2).phase == "Failed"


def test_a_failure_told_again_without_a_log_keeps_the_first_one() -> None:
    """The record was written, and the operator died before the app's status was."""
    world = at_phase("Checking", kind="session")
    s, status, uid = world.releases[("env0", 2)]
    world.releases[("env0", 2)] = (s, status.model_copy(update={"phase": "Failed", "log": ("the cause",)}), uid)
    world.checks[("env0", 2)] = CheckFacts(verdict=Verdict.FAIL, message="boom")
    world.reconcile()
    assert record(world, 2).log == ("the cause",)


def test_a_release_that_was_taken_back_says_so_while_its_sessions_go_on() -> None:
    world = at_phase("Baking", kind="late")
    for _ in range(40):
        world.open_session()
        world.reconcile()
        told = record(world, 2)
        if told.phase == "RolledBack":
            break
        world.tick(2)
    for _ in range(10):
        world.reconcile()
        world.tick(1)
        assert (record(world, 2).phase, record(world, 2).reason) == ("RolledBack", "SessionFailed")
    assert world.status.environment("env0").stable == 1
    world.close_sessions()
    world.settle()
    assert record(world, 2).phase == "RolledBack"
    assert record(world, 2).weight == "0"


def test_the_weight_of_a_release_is_what_was_seen_and_not_what_is_meant() -> None:
    world = at_phase("Releasing")
    assert (record(world, 1).weight, record(world, 2).weight) == ("100%", "0")


def test_a_draining_release_counts_in_words() -> None:
    world = at_phase("Baking")
    for live, words in ((0, "0 sessions"), (1, "1 session"), (2, "2 sessions")):
        for pod in world.pods.values():
            pod.sessions = live if pod.slot == ("env0", 1, "s0") else 0
        world.reconcile()
        told = next((r.status for r in decide(world.observe()).records if r.number == 1), record(world, 1))
        assert told.summary.startswith(words + ", forced at ")
    world.fronts.clear()
    told = next(r.status for r in decide(world.observe()).records if r.number == 1)
    assert told.summary.startswith("unknown number of sessions, forced at ")
    assert told.sessions is None


def test_a_record_deleted_by_hand_is_not_an_error() -> None:
    for phase in ("Deploying", "Checking", "Releasing", "Baking", "Released"):
        world = at_phase(phase) if phase != "Released" else released()
        number = max(n for _, n in world.releases)
        del world.releases[("env0", number)]
        world.settle()
        assert world.end()["env0"][0] == image("good", 2 if phase != "Released" else 1)


def test_what_is_removed_stays_on_record() -> None:
    world = at_phase("Baking")
    world.settle()
    assert record(world, 1).phase == "Retired"
    assert record(world, 1).summary == "its parts are removed; this record stays"
    assert record(world, 1).preview_url is None


def test_a_story_begins_where_the_release_began_whatever_the_operator_missed() -> None:
    """Its record is created in the pass that begins the release; who dies then finds its pods ready already."""
    world = at_phase("Deploying")
    began = world.status.environment("env0").phase_since
    assert not record(world, 2).timeline
    world.die()
    for _ in range(5):
        world.tick(2)  # pods come without anybody looking
    world.settle()
    told = record(world, 2).timeline
    assert [e.phase for e in told] == ["Deploying", "Checking", "Releasing", "Baking", "Released"]
    assert told[0].at == began
    assert [e.at for e in told] == sorted(e.at for e in told)


def test_a_record_that_was_never_written_to_tells_of_every_phase_that_is_remembered() -> None:
    world = at_phase("Checking")
    s, status, uid = world.releases[("env0", 2)]
    world.releases[("env0", 2)] = (s, status.model_copy(update={"timeline": ()}), uid)
    world.settle()
    assert [e.phase for e in record(world, 2).timeline][:3] == ["Deploying", "Checking", "Releasing"]
