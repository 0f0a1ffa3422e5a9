"""What each command becomes as things are: what is written, or in which words it is refused."""

from typing import Any

import pytest

from dataapp_operator.api.reasons import Reason
from dataapp_operator.cli import commands, words
from dataapp_operator.cli.errors import Refusal, UsageError
from dataapp_operator.cli.situation import Decision, Expected, Request
from dataapp_operator.cli.view import App, Release
from tests.unit.cli_rig import NOW, apprelease, at, environment, records, serving, view, waiting

Records = tuple[Release, ...]

MARK = "@20261122T100400Z"
STEPS = [{"weight": 5, "hold": "10m"}, {"weight": 25, "hold": "10m"}, {"weight": 50, "pause": True}]
CANARY = environment(
    "production",
    stable=13,
    stableSince=at("09:30"),
    candidate=14,
    phase="Releasing",
    step=2,
    weights={13: 500, 14: 500},
)
BAKING = environment("production", stable=13, candidate=14, phase="Baking", weights={14: 1000})
QUIET = serving("production", 14)
FAILED = serving(
    "production",
    13,
    quarantined={14: {"reason": "SessionFailed: no"}},
    waitingFor=waiting("ReleaseFailed", "r14 failed and is not tried again by itself"),
)


def decide(command: str, app: App, known: Records = (), env: str | None = "production", **typed: Any) -> Decision:
    return commands.decide(Request(command, env, **typed), app, known, NOW)


def refused(command: str, app: App, known: Records = (), env: str | None = "production", **typed: Any) -> str:
    with pytest.raises(Refusal) as error:
        decide(command, app, known, env, **typed)
    return str(error.value)


def written(decision: Decision, command: str) -> str | None:
    """What is written for a command, without the mark of :data:`NOW` where it must have one."""
    assert set(decision.changes) == {words.annotation(command)}
    value = decision.changes[words.annotation(command)]
    if command not in words.ANSWERED:
        return value
    assert value is not None
    assert value.endswith(MARK)
    return value.removesuffix(MARK)


# Which environment is meant


def test_the_only_environment_need_not_be_named() -> None:
    assert written(decide("abort", view(BAKING), env=None), "abort") == "production=14"


def test_of_several_environments_one_must_be_named() -> None:
    with pytest.raises(UsageError, match="say which one is meant: sandbox, production"):
        decide("abort", view(serving("sandbox", 14), BAKING), env=None)


def test_an_environment_that_there_is_not_is_told_with_those_that_there_are() -> None:
    app = view(serving("sandbox", 14), BAKING)
    assert refused("abort", app, env="prodction") == (
        "sales has no environment 'prodction'; did you mean production? There is also sandbox"
    )
    assert refused("abort", app, env="x").endswith("; there are production, sandbox")
    assert refused("abort", view(BAKING), env="x").endswith("; there is only production")


def test_an_app_without_environments_takes_no_command() -> None:
    assert "no environment yet" in refused("abort", view(), env=None)


def test_an_app_that_is_being_deleted_takes_no_command() -> None:
    app = view(BAKING, metadata={"deletionTimestamp": at("10:00")})
    for command in (*words.ANSWERED, words.PROMOTE, words.RETRY, words.SUSPEND, words.UNSUSPEND):
        assert "is being deleted" in refused(command, app)


# Words of others, words said before


def test_the_words_of_other_environments_are_kept() -> None:
    app = view(serving("test", 3), BAKING, annotations={"dataapps.dev/abort": "test=2,production=9"})
    assert written(decide("abort", app), "abort") == "test=2,production=14"


def test_what_is_written_down_already_is_only_waited_for() -> None:
    decision = decide("abort", view(BAKING, annotations={"dataapps.dev/abort": "production=14"}))
    assert decision.changes == {}
    assert decision.expected == Expected("production", "abort", "14")
    assert "written down already" in decision.words


def test_what_was_answered_before_is_said_again_as_another_word() -> None:
    answers = [{"command": "abort", "word": "14@first", "at": at("10:02"), "message": "r14 is given up"}]
    app = view({**BAKING, "answers": answers}, annotations={"dataapps.dev/abort": "production=14@first"})
    decision = decide("abort", app)
    assert written(decision, "abort") == "production=14"
    assert decision.expected == Expected("production", "abort", f"14{MARK}")


@pytest.mark.parametrize("said", ["14", "r14", "14@x"])
def test_a_word_that_somebody_wrote_by_hand_is_the_same_word(said: str) -> None:
    decision = decide("abort", view(BAKING, annotations={"dataapps.dev/abort": f"production={said}"}))
    assert (decision.changes, decision.expected) == ({}, Expected("production", "abort", said))


# The release on its way


@pytest.mark.parametrize("command", ["promote-full", "pause", "resume", "abort"])
def test_without_a_release_on_its_way_there_is_nothing_to_do(command: str) -> None:
    assert refused(command, view(QUIET)) == "nothing is on its way in production; r14 has served since 09:30"
    empty = view(environment("production", waitingFor=waiting("Building", "its image is built")))
    assert refused(command, empty).endswith(
        "nothing has been released there yet; it waits (Building): its image is built"
    )


@pytest.mark.parametrize("command", ["promote-full", "pause", "abort"])
def test_the_release_that_is_meant_can_be_named(command: str) -> None:
    app, known = view(CANARY), records(apprelease("production", 14, "Releasing", steps=STEPS))
    assert written(decide(command, app, known, release="r14"), command) == "production=14"
    assert refused(command, app, known, release="13") == "r14 is on its way in production, and not r13"
    with pytest.raises(UsageError, match="a release is a number"):
        decide(command, app, known, release="latest")


@pytest.mark.parametrize("command", ["promote-full", "pause", "abort"])
def test_what_is_taken_back_already_takes_no_command(command: str) -> None:
    back = {**BAKING, "intent": {"switchTo": 13, "plan": 9}}
    assert "is being taken back already" in refused(command, view(back))


def test_abort_says_where_visitors_go() -> None:
    decision = decide("abort", view(BAKING))
    assert decision.words == "production: r14 is given up; new visitors go back to r13"
    first = view(environment("production", candidate=1, phase="Releasing", weights={1: 1000}))
    early = view(serving("production", 13, candidate=14, phase="Checking"))
    assert decide("abort", first).words == "production: r1 is given up"
    assert decide("abort", early).words == "production: r14 is given up"
    renewed = view({**BAKING, "stopped": {"release": 13, "since": "2026-11-22T10:00:00Z"}})
    assert decide("abort", renewed).words == "production: r14 is given up; r13 is started again"


def test_promote_full_skips_steps_where_there_are_some() -> None:
    known = records(apprelease("production", 14, "Releasing", steps=STEPS))
    assert written(decide("promote-full", view(CANARY), known), "promote-full") == "production=14"
    early = view(environment("production", stable=13, candidate=14, phase="Checking", weights={13: 1000}))
    assert written(decide("promote-full", early, known), "promote-full") == "production=14"
    baking = view({**BAKING, "waitingFor": waiting("Baking", "", "10:11")})
    assert refused("promote-full", baking, known) == (
        "r14 serves everybody in production already; it is being watched, until 10:11 (in 7m)"
    )
    assert "no steps to skip" in refused("promote-full", early, records(apprelease("production", 14, "Checking")))


@pytest.mark.parametrize("hold", ["10m", "0s"])
def test_promote_full_ends_a_hold(hold: str) -> None:
    early = view(environment("production", stable=13, candidate=14, phase="Checking", weights={13: 1000}))
    held = apprelease("production", 14, "Checking")
    held["spec"]["plan"]["hold"] = hold
    if hold == "0s":
        assert "no steps to skip" in refused("promote-full", early, records(held))
    else:
        assert written(decide("promote-full", early, records(held)), "promote-full") == "production=14"


@pytest.mark.parametrize(
    ("command", "said"),
    [("pause", "is paused in production already"), ("promote-full", "goes to everybody in production")],
)
def test_what_holds_as_long_as_it_stands_is_not_said_twice(command: str, said: str) -> None:
    known = records(apprelease("production", 14, "Releasing", steps=STEPS))
    assert written(decide(command, view(CANARY), known), command) == "production=14"
    stands = {f"dataapps.dev/{command}": "production=r14@x"}
    unheard = decide(command, view(CANARY, annotations=stands), known)
    assert (unheard.changes, unheard.expected) == ({}, Expected("production", command, "r14@x"))
    heard = {**CANARY, "answers": [{"command": command, "word": "r14@x", "at": at("10:02"), "message": "yes"}]}
    assert said in refused(command, view(heard, annotations=stands), known)
    other = {f"dataapps.dev/{command}": "production=13"}
    assert written(decide(command, view(heard, annotations=other), known), command) == "production=14"


# Resume


def test_resume_takes_a_pause_away_and_leaves_those_of_others() -> None:
    known = records(apprelease("production", 14, "Releasing", steps=STEPS))
    app = view({**CANARY, "step": 1}, serving("test", 3), annotations={"dataapps.dev/pause": "production=14,test=3"})
    decision = decide("resume", app, known)
    assert dict(decision.changes) == {"dataapps.dev/pause": "test=3"}
    assert decision.expected == Expected("production", lifted=Reason.PAUSED)
    alone = view({**CANARY, "step": 1}, annotations={"dataapps.dev/pause": "production=14"})
    assert dict(decide("resume", alone, known).changes) == {"dataapps.dev/pause": None}


def test_resume_goes_on_from_a_pausing_step() -> None:
    known = records(apprelease("production", 14, "Releasing", steps=STEPS))
    decision = decide("resume", view(CANARY), known)
    assert written(decision, "resume") == "production=14.2"
    assert decision.expected == Expected("production", "resume", f"14.2{MARK}")
    assert decision.words == "production: r14 goes on from the step that it waits at"


def test_resume_does_both_where_both_hold_it() -> None:
    known = records(apprelease("production", 14, "Releasing", steps=STEPS))
    app = view(CANARY, annotations={"dataapps.dev/pause": "production=14", "dataapps.dev/resume": "production=14.0"})
    decision = decide("resume", app, known)
    assert dict(decision.changes) == {"dataapps.dev/pause": None, "dataapps.dev/resume": f"production=14.2{MARK}"}
    assert decision.expected == Expected("production", "resume", f"14.2{MARK}")


def test_resume_without_the_record_believes_what_is_waited_for() -> None:
    paused = {**CANARY, "waitingFor": waiting("Paused", "step 3 waits for a person")}
    assert written(decide("resume", view(paused)), "resume") == "production=14.2"
    assert refused("resume", view(CANARY)).startswith("nothing is paused in production")


@pytest.mark.parametrize(
    "app",
    [
        view({**CANARY, "step": 0}),
        view({**CANARY, "step": 7}),
        view({**CANARY, "phase": "Checking"}),
        view(CANARY, annotations={"dataapps.dev/pause": "production=13"}),
        view(
            {**CANARY, "answers": [{"command": "resume", "word": "14.2", "at": at("10:00"), "message": "yes"}]},
            annotations={"dataapps.dev/resume": "production=14.2"},
        ),
    ],
)
def test_resume_is_refused_where_nothing_is_paused(app: App) -> None:
    steps = STEPS if app.annotations.get("dataapps.dev/pause") is None else STEPS[:1]
    known = records(apprelease("production", 14, "Releasing", steps=steps))
    assert "nothing is paused in production; r14 is on its way" in refused("resume", app, known)


# Promote


ASKED = waiting("AwaitingPromotion", "r14 passed in sandbox and waits for a person")
BEFORE = records(apprelease("sandbox", 13, "Retired"), apprelease("sandbox", 14, "Released"))


def test_promote_takes_what_the_environment_before_has() -> None:
    app = view(serving("sandbox", 14), serving("production", 13, waitingFor=ASKED))
    decision = decide("promote", app, BEFORE)
    assert written(decision, "promote") == "production=14"
    assert decision.expected == Expected("production", None, "14")
    assert decision.words == "production: r14 may go on from sandbox"


def test_promote_of_a_release_that_is_still_on_its_way_before_is_allowed() -> None:
    app = view(serving("sandbox", 13, candidate=14, phase="Baking"), serving("production", 12))
    assert written(decide("promote", app, release="14"), "promote") == "production=14"


def test_promote_behind_a_release_that_is_on_its_way_waits_for_nothing() -> None:
    app = view(serving("sandbox", 14), serving("production", 12, candidate=13, phase="Baking"))
    decision = decide("promote", app, BEFORE)
    assert written(decision, "promote") == "production=14"
    assert decision.words == "production: r14 may go on from sandbox, after r13 (Baking)"
    assert decision.expected is None


@pytest.mark.parametrize(
    ("sandbox", "production", "typed", "said"),
    [
        (serving("sandbox", 14), QUIET, {}, "r14 is in production already; r14 has served since 09:30"),
        (serving("sandbox", 14), BAKING, {}, "r14 is on its way in production already (Baking)"),
        (environment("sandbox"), QUIET, {}, "sandbox has no release yet that passed its checks"),
        (
            serving("sandbox", 14),
            FAILED,
            {},
            "r14 is not tried again in production by itself (SessionFailed: no); `retry`",
        ),
        (serving("sandbox", 14), QUIET, {"release": "13"}, "production is past r13: it has r14. `rollback --to 13`"),
        (serving("sandbox", 14), QUIET, {"release": "99"}, "there is no r99 in sandbox; it has r13, r14"),
        (
            serving("sandbox", 14),
            serving("production", 13, waitingFor=waiting("AwaitingTag", "waiting for a tag 'v*'")),
            {},
            "production waits for a tag in the repository and not for a person: waiting for a tag 'v*'",
        ),
        (
            serving("sandbox", 14),
            serving(
                "production", 13, waitingFor=waiting("Soaking", "r14 goes on once sandbox has had it for 30m", "10:30")
            ),
            {},
            "it goes on by itself: r14 goes on once sandbox has had it for 30m, until 10:30 (in 26m)",
        ),
    ],
)
def test_promote_is_refused_where_it_makes_no_sense(
    sandbox: dict[str, Any], production: dict[str, Any], typed: dict[str, str], said: str
) -> None:
    assert said in refused("promote", view(sandbox, production), BEFORE, **typed)


def test_what_did_not_pass_before_is_not_promoted() -> None:
    known = records(apprelease("sandbox", 15, "Failed", summary="Crashed: it ended"), *())
    app = view(serving("sandbox", 14), serving("production", 13))
    assert refused("promote", app, known, release="15") == (
        "r15 did not pass in sandbox (Failed) and does not go on: Crashed: it ended"
    )


def test_a_number_that_only_a_setting_here_has_made_does_not_stand_in_the_way() -> None:
    app = view(serving("sandbox", 5), serving("production", 6, waitingFor=ASKED))
    known = records(apprelease("sandbox", 5, "Released"), apprelease("production", 6, "Released"))
    assert written(decide("promote", app, known), "promote") == "production=5"


def test_into_the_first_environment_code_is_promoted_by_its_commit() -> None:
    asked = environment("sandbox", waitingFor=waiting("AwaitingPromotion", "9f2c1d0 is ready"))
    code = view(asked, status={"environments": [asked], "code": {"commit": "9f2c1d0e" * 5}})
    assert written(decide("promote", code, env="sandbox"), "promote") == "sandbox=9f2c1d0"
    image = view(asked, spec={"image": f"r.example.org/a@sha256:{'19cc' * 16}"})
    assert written(decide("promote", image, env="sandbox"), "promote") == "sandbox=19cc19cc19cc"
    assert written(decide("promote", code, env="sandbox", release="abcdef12"), "promote") == "sandbox=abcdef12"
    with pytest.raises(UsageError, match="name the commit"):
        decide("promote", code, env="sandbox", release="14")
    assert "not known yet which code" in refused("promote", view(asked), env="sandbox")
    assert "nothing waits to be promoted to sandbox; r14 has served" in refused(
        "promote", view(serving("sandbox", 14)), env="sandbox"
    )


# Retry


def test_retry_takes_the_newest_that_failed() -> None:
    two = {**FAILED, "quarantined": [{"release": 12, "reason": "a"}, {"release": 14, "reason": "b"}]}
    decision = decide("retry", view(two))
    assert written(decision, "retry") == "production=14"
    assert decision.expected == Expected("production", None, "14")
    assert refused("retry", view(two), release="13") == (
        "r13 can be released in production without it; `retry` is for what failed or was given up: r12, r14"
    )


def test_retry_is_refused_where_it_would_change_nothing() -> None:
    assert "there is nothing to try again in production: nothing failed, or was given up; r14 has served" in refused(
        "retry", view(QUIET)
    )
    past = view(serving("production", 15, quarantined={14: {"reason": "no"}}))
    assert "r15 has been released in production after r14" in refused("retry", past)
    busy = view({**FAILED, "candidate": 15, "phase": "Checking"})
    assert "r15 is on its way in production and comes first (Checking)" in refused("retry", busy)


def test_retry_of_older_code_that_was_brought_back() -> None:
    wait = waiting("ReleaseFailed", "r14 failed")
    back = view(serving("production", 15, quarantined={14: {"reason": "no"}}, waitingFor=wait))
    assert written(decide("retry", back), "retry") == "production=14"


# What serves


FORMER = records(
    apprelease("production", 11, "RolledBack", summary="SessionFailed: no"),
    apprelease("production", 12, "Retired"),
    apprelease("production", 13, "Warm"),
    apprelease("production", 14, "Released"),
)


def test_rollback_goes_to_the_release_before_or_to_the_one_named() -> None:
    assert written(decide("rollback", view(QUIET), FORMER), "rollback") == "production=14"
    assert written(decide("rollback", view(QUIET), FORMER, to="r12"), "rollback") == "production=14:12"
    warm = view(serving("production", 14, warm={13: {"until": at("11:00")}}))
    assert written(decide("rollback", warm), "rollback") == "production=14"


@pytest.mark.parametrize(
    ("app", "known", "typed", "said"),
    [
        (view(environment("production")), (), {}, "no release of sales has been released in production yet"),
        (view(QUIET), (), {}, "there is no release before r14 in production to go back to"),
        (view(QUIET), FORMER, {"to": "14"}, "r14 is what production has; r14 has served since 09:30"),
        (view(QUIET), FORMER, {"to": "9"}, "there is no r9 in production; what can be gone back to: r12, r13"),
        (view(QUIET), FORMER, {"to": "11"}, "r11 was not released in production (RolledBack: SessionFailed: no)"),
        (view(QUIET), FORMER, {"release": "13"}, "production has r14, and not r13"),
        (
            view(BAKING),
            FORMER,
            {},
            "r14 serves everybody in production, but is not released yet (Baking): `abort` takes it back to r13",
        ),
    ],
)
def test_rollback_is_refused_where_it_makes_no_sense(
    app: App, known: Records, typed: dict[str, str], said: str
) -> None:
    assert said in refused("rollback", app, known, **typed)


def test_what_was_gone_back_from_can_be_gone_back_to_by_its_number_only() -> None:
    known = records(apprelease("production", 14, "Retired"), apprelease("production", 13, "Released"))
    app = view(serving("production", 13, quarantined={14: {"reason": "TakenBack: a person went back to r13"}}))
    assert written(decide("rollback", app, known, to="14"), "rollback") == "production=13:14"
    assert "no release before r13 in production to go back to; what can be gone back to: r14" in refused(
        "rollback", app, known
    )


@pytest.mark.parametrize("command", ["rollback", "restart"])
def test_what_serves_is_not_touched_while_something_is_on_its_way(command: str) -> None:
    busy = view(serving("production", 13, candidate=14, phase="Checking"))
    assert refused(command, busy, FORMER) == (
        "r14 is on its way in production (Checking): `abort` it first, or wait for its end"
    )


def test_restart_is_of_what_serves() -> None:
    assert written(decide("restart", view(QUIET)), "restart") == "production=14"
    assert "has been released in production yet" in refused("restart", view(environment("production", candidate=1)))


# The whole app


def test_suspend_and_unsuspend() -> None:
    app = view(QUIET, serving("sandbox", 14))
    decision = decide("suspend", app, env=None)
    assert dict(decision.changes) == {"dataapps.dev/suspend": "2026-11-22T10:04:00Z"}
    assert decision.expected is None, "it holds, and the operator has nothing to say"
    assert "is not suspended" in refused("unsuspend", app, env=None)
    held = view(QUIET, annotations={"dataapps.dev/suspend": "true"})
    assert "is suspended already (true)" in refused("suspend", held, env=None)
    lifted = decide("unsuspend", held, env=None)
    assert dict(lifted.changes) == {"dataapps.dev/suspend": None}
    assert lifted.expected == Expected(lifted=Reason.SUSPENDED)


def test_many_names_are_not_all_listed() -> None:
    names = [f"app{n}" for n in range(12)]
    assert commands.suggestion("zzz", names) == (
        "; there are app0, app1, app10, app11, app2, app3, app4, app5 and 4 more"
    )
    assert commands.suggestion("zzz", []) == ""
    assert commands.suggestion("sale", ["sales"]) == "; did you mean sales?"
