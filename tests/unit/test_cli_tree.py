"""What is shown of an app: the tree in plain text, the same tree in colour, and the table."""

import io
from typing import Any

from rich.console import Console

from dataapp_operator.cli import drawing, table, tree
from dataapp_operator.cli.tree import Sight
from dataapp_operator.cli.view import Release
from tests.unit.cli_rig import NOW, apprelease, at, environment, records, serving, view, waiting

BAKING = environment(
    "production",
    stable=13,
    stableSince=at("08:00"),
    candidate=14,
    phase="Baking",
    weights={14: 1000},
    draining={13: {"sessions": 6, "forcedAt": at("14:01")}},
    artefacts=[{"release": 14, "commit": "9f2c1d0" * 5}],
    waitingFor=waiting("Baking", "r14 serves everybody; r13 is kept in case it fails", "10:11"),
    answers=[{"command": "resume", "word": "14.2", "at": at("10:00"), "message": "r14 goes on from step 3"}],
)
RECORDS = records(
    apprelease("sandbox", 14, "Released", slots=[{"name": "s0", "ready": True}]),
    apprelease(
        "production",
        12,
        "Failed",
        sessions=0,
        summary="SessionFailed: there is no package called ‘janitor’",
    ),
    apprelease("production", 13, "Draining", summary="6 sessions, forced at 14:01", checks=[{"name": "session"}]),
    apprelease(
        "production",
        14,
        "Baking",
        sessions=31,
        summary="r14 serves everybody; r13 is kept in case it fails",
        previewUrl="https://sales--r14--production.example.org",
        checks=[{"name": "session", "verdict": "pass", "measured": "output total = 1,204 after 0.8 s"}],
        slots=[{"name": "s0", "ready": True, "sessions": 30}, {"name": "s1", "ready": False, "sessions": 1}],
    ),
)


def plain(*environments: dict[str, Any], known: tuple[Release, ...] = (), trouble: str = "", **more: Any) -> str:
    return drawing.plain(tree.draw(Sight(view(*environments, **more), known, trouble), NOW))


def test_a_release_in_its_bake() -> None:
    assert (
        plain(serving("sandbox", 14), BAKING, known=RECORDS)
        == """\
sales  analytics  Ready  at 10:04 UTC
  sandbox  https://sandbox.example.org
    r14  Released  100 %  000000e
      s0  ready
  production  https://production.example.org
    waits (Baking)  since 10:01 (3m), until 10:11 (in 7m)  r14 serves everybody; r13 is kept in case it fails
    r14  Baking  100 %  31 sessions  000000e
      preview  https://sales--r14--production.example.org
      ✔ session  output total = 1,204 after 0.8 s
      s0  ready  30 sessions
      s1  not ready  1 session
    r13  Draining  000000d  6 sessions, forced at 14:01
    resume 14.2  answered 10:00  r14 goes on from step 3"""
    )


def test_a_canary_at_a_pausing_step_with_a_command_that_is_not_answered_yet() -> None:
    steps = [{"weight": 5, "hold": "10m"}, {"weight": 25, "pause": True}]
    canary = environment("production", stable=13, candidate=14, phase="Releasing", step=1, weights={13: 975, 14: 25})
    text = plain(
        canary,
        known=records(apprelease("production", 14, "Releasing", steps=steps, summary="it waits for a person")),
        annotations={"dataapps.dev/abort": "production=14"},
    )
    assert (
        text
        == """\
sales  analytics  Ready  at 10:04 UTC
  production  https://production.example.org
    r14  Releasing  2.5 %  000000e  it waits for a person
      step 2 of 2, 25 %, stays there until `resume`
    r13  Released  97.5 %
    abort 14  is written down, and not answered yet"""
    )
    held = plain({**canary, "step": 0}, known=records(apprelease("production", 14, "Releasing", steps=steps)))
    assert "step 1 of 2, 5 %, for 10m" in held


def test_a_failed_release_is_shown_until_a_newer_one_serves() -> None:
    failed = apprelease(
        "production",
        14,
        "Failed",
        summary="Crashed: it ended",
        nextStep="Mend the app.",
        checks=[{"name": "session", "verdict": "fail", "measured": "nothing", "expected": "an output within 5 s"}],
    )
    older = apprelease("production", 12, "Failed", summary="Crashed: long ago")
    text = plain(serving("production", 13), known=records(older, failed))
    assert (
        "    r14  Failed  000000e  Crashed: it ended\n      ✘ session  nothing  (expected: an output within 5 s)\n"
        in text
    )
    assert "      next  Mend the app." in text
    assert "long ago" not in text
    assert "r14" not in plain(serving("production", 15), known=records(older, failed))


def test_a_former_release_that_is_kept_and_one_whose_record_is_gone() -> None:
    text = plain(serving("production", 14, warm={13: {"until": at("11:00")}}, draining={12: {"forcedAt": at("14:00")}}))
    assert "    r13  Warm  kept until 11:00 (in 56m)" in text
    assert "    r12  Draining\n" in f"{text}\n"


def test_what_is_wrong_comes_first() -> None:
    not_ready = {"type": "Ready", "status": "False", "reason": "Unavailable", "message": "no replica of r14 answers"}
    stalled = {"type": "Stalled", "status": "True", "reason": "QuotaExceeded", "message": "ask for less"}
    env = serving("production", 14)
    text = plain(
        env,
        trouble="the cluster does not answer",
        annotations={"dataapps.dev/suspend": at("10:00")},
        metadata={"deletionTimestamp": at("10:03")},
        status={"environments": [env], "conditions": [not_ready, stalled]},
    )
    assert text.splitlines()[:5] == [
        "sales  analytics  not Ready (Unavailable)  at 10:04 UTC",
        "  this may be old: the cluster does not answer",
        "  suspended since 10:00 (4m): nothing new begins, until `unsuspend`",
        "  no replica of r14 answers",
        "  a person must act (QuotaExceeded): ask for less",
    ]
    assert "  it is being deleted" in plain(env, metadata={"deletionTimestamp": at("10:03")})
    assert "  suspended: nothing new begins" in plain(env, annotations={"dataapps.dev/suspend": "true"})


def test_an_app_that_nobody_has_looked_at_yet() -> None:
    assert plain(status={"conditions": [], "environments": []}).splitlines() == [
        "sales  analytics  not looked at yet  at 10:04 UTC",
        "  the operator has not looked at it yet",
    ]
    empty = plain(spec={"environments": [{"name": "sandbox"}]}, status={"environments": []})
    assert empty.splitlines()[1:] == ["  sandbox", "    nothing has been released here yet"]


def test_only_the_last_answers_are_shown() -> None:
    many = [
        {"command": command, "word": "14", "at": at(f"09:0{n}"), "message": command}
        for n, command in enumerate(("abort", "pause", "resume", "restart"))
    ]
    text = plain(serving("production", 14, answers=many))
    assert [line.split()[0] for line in text.splitlines() if "answered" in line] == ["restart", "resume", "pause"]


def test_in_colour_it_says_the_same_and_words_are_no_markup() -> None:
    node = tree.draw(Sight(view(serving("production", 14, waitingFor=waiting("Baking", "[bold]x[/] [1]")))), NOW)
    out = io.StringIO()
    Console(file=out, width=200, color_system=None, highlight=False).print(drawing.coloured(node))
    assert "[bold]x[/] [1]" in out.getvalue()
    for line in drawing.plain(node).splitlines():
        assert line.strip() in out.getvalue()
    assert "\x1b" not in drawing.plain(node)


def test_two_looks_are_equal_unless_something_can_be_seen() -> None:
    env = serving("production", 14)
    assert Sight(view(env)) == Sight(view(env, metadata={"resourceVersion": "8"}))
    assert Sight(view(env)) != Sight(view(env), trouble="x")


def test_the_table_has_a_line_for_each_environment() -> None:
    apps = [
        view(serving("sandbox", 14), BAKING),
        view(spec={"environments": []}, status={"conditions": [], "environments": []}, name="new"),
    ]
    lines = table.lines(apps, NOW, with_namespace=False)
    assert [line.partition("   https")[0] for line in lines] == [
        "NAME    ENV          RELEASED   MOVING       WAITING     SESSIONS   COMMIT    READY   AGE   URL",
        "sales   sandbox      r14                                                      True    41d",
        "sales   production   r14        r14 baking   Baking 3m   6          9f2c1d0   True    41d",
        "new                                                                                   41d",
    ]
    assert lines[2].endswith("   https://production.example.org")
    assert [line.split()[0] for line in table.lines(apps, NOW, with_namespace=True)] == [
        "NAMESPACE",
        *["analytics"] * 3,
    ]


def test_the_table_tells_shares_and_what_drains() -> None:
    split = environment(
        "production",
        stable=13,
        weights={13: 950, 14: 50},
        candidate=14,
        phase="Releasing",
        draining={12: {}, 11: {"sessions": 2}},
    )
    (_, line) = table.lines([view(split, annotations={"dataapps.dev/suspend": "true"})], NOW, with_namespace=False)
    assert "r13 95 %, r14 5 %   r14 releasing, r11 draining, r12 draining   Suspended   " in line
