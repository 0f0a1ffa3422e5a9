"""Finding the true cause in a log: logs of real frameworks (fixtures/logs) and the shapes that they take elsewhere."""

from pathlib import Path

import pytest

from dataapp_operator.checks.cause import find_cause, join_reason, tail

LOGS = Path(__file__).parent / "fixtures" / "logs"


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("st-import", "ModuleNotFoundError: No module named 'jinja3'"),
        ("st-import-rich", "ModuleNotFoundError: No module named 'jinja3'"),
        ("st-session", "KeyError: 'b'"),
        ("st-syntax", "SyntaxError: '(' was never closed"),
        (
            "st-chain",
            (
                "RuntimeError: the model cannot be loaded; caused by "
                "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere/model.bin'"
            ),
        ),
        ("r-import", "there is no package called ‘janitor’"),
        ("r-session", "there is no package called ‘janitor’"),
        ("r-server", "no connection to the warehouse"),
        ("r-observe", "cannot open file '/nowhere.csv': No such file or directory"),
        ("r-ui", "ui broke"),
        ("py-import", "ModuleNotFoundError: No module named 'jinja3'"),
        ("py-session", "KeyError: 'b'"),
        ("py-server", "RuntimeError: no warehouse"),
    ],
)
def test_the_cause_in_the_log_of_a_real_framework(name: str, cause: str) -> None:
    assert find_cause((LOGS / f"{name}.txt").read_text()) == cause


TRACEBACK = 'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\n    f()\n'


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        ("", None),
        ("Listening on http://0.0.0.0:3838\nINFO: connection open\n", None),
        (TRACEBACK + "ValueError\n", "ValueError"),
        (TRACEBACK + "KeyError: 'first'\n\nGET / 200\n" + TRACEBACK + "ValueError: last\n", "ValueError: last"),
        (TRACEBACK + "SystemExit: 3\n", None),
        (
            TRACEBACK
            + "KeyError: 'a'\n\nDuring handling of the above exception, another exception occurred:\n\n"
            + TRACEBACK
            + "app.Broken: no price\n",
            "app.Broken: no price; caused by KeyError: 'a'",
        ),
        (
            TRACEBACK + "pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings\n"
            "region\n  Field required [type=missing]\n",
            (
                "pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings region "
                "Field required [type=missing]"
            ),
        ),
        (
            (
                '  + Exception Group Traceback (most recent call last):\n  |   File "a.py", line 2, in <module>\n'
                "  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)\n"
                "  +-+---------------- 1 ----------------\n    | Traceback (most recent call last):\n"
                '    |   File "a.py", line 9, in work\n    | ValueError: inner\n    +-------------------------------\n'
            ),
            "ValueError: inner",
        ),
        (
            "  File \"app.py\", line 3\n    x = (\n        ^\nSyntaxError: '(' was never closed\n",
            "SyntaxError: '(' was never closed",
        ),
        (
            "Error in library(janitor) : there is no package called ‘janitor’\nExecution halted\n",
            "there is no package called ‘janitor’",
        ),
        (
            "Error in eval(ei, envir) : \n  object 'sales' not found\nCalls: source -> withVisible\n",
            "object 'sales' not found",
        ),
        ('Error: unexpected symbol in "ui <-"\nExecution halted\n', 'unexpected symbol in "ui <-"'),
        (
            "Error in `mutate()`:\nℹ In argument.\nCaused by error:\n! object 'y' not found\nBacktrace:\n  1. a\n",
            "object 'y' not found",
        ),
        (
            (
                'Error in file(file, "rt") : cannot open the connection\nCalls: read.csv -> read.table -> file\n'
                'In addition: Warning message:\nIn file(file, "rt") :\n'
                "  cannot open file 'prices.csv': No such file or directory\n"
            ),
            "cannot open file 'prices.csv': No such file or directory",
        ),
        ("Warning: Error in value[[3L]]: could not connect:\n  timeout\n  60: stop\n", "could not connect: timeout"),
        ("Error: cannot allocate vector of size 7.5 Gb\n", "cannot allocate vector of size 7.5 Gb"),
        (
            'ERROR:    Error loading ASGI app. Could not import module "app".\n',
            'Error loading ASGI app. Could not import module "app".',
        ),
        ("/bin/sh: 1: streamlit: not found\n", "/bin/sh: 1: streamlit: not found"),
        ("Error: Invalid value: File does not exist: app.py\n", "Invalid value: File does not exist: app.py"),
    ],
)
def test_the_shapes_of_failures(log: str, cause: str | None) -> None:
    assert find_cause(log) == cause


def test_a_kill_is_explained() -> None:
    cause = find_cause("loading the model\nKilled\n")
    assert cause is not None
    assert "more memory than its limit" in cause


def test_a_read_only_directory_is_explained() -> None:
    cause = find_cause(TRACEBACK + "sqlite3.OperationalError: unable to open database file\n")
    assert cause is not None
    assert cause.startswith("sqlite3.OperationalError: unable to open database file")
    assert "write to the home directory or to /tmp" in cause


def test_a_cause_is_one_line_of_bounded_length_without_secrets() -> None:
    cause = find_cause(TRACEBACK + "OperationalError: postgres://joe:hunter2@db/x " + "y" * 5000)
    assert cause is not None
    assert "hunter2" not in cause
    assert "\n" not in cause
    assert len(cause) <= 500


def test_a_log_of_a_hundred_thousand_lines_is_read_from_its_end() -> None:
    assert find_cause(TRACEBACK + "KeyError: 'a'\n" + "GET / 200\n" * 100_000) is None


def test_the_tail_keeps_the_last_lines_without_colours_empty_lines_and_secrets() -> None:
    log = "\n".join(f"line {i}" for i in range(100)) + "\n\n\x1b[31mpassword=hunter2\x1b[0m\n" + "z" * 9000 + "\n"
    lines = tail(log, lines=3).split("\n")
    assert lines[:2] == ["line 99", "password=…"]
    assert len(lines[2]) == 500
    assert tail("") == ""
    assert tail("a\nb", lines=0) == ""


@pytest.mark.parametrize(
    ("said", "cause", "joined"),
    [
        ("", None, ""),
        ("no connection", None, "no connection"),
        ("", "KeyError: 'b'", "KeyError: 'b'"),
        ("'b'", "KeyError: 'b'", "KeyError: 'b'"),
        (
            "ModuleNotFoundError: No module named 'jinja3'",
            "ModuleNotFoundError: No module named 'jinja3'",
            "ModuleNotFoundError: No module named 'jinja3'",
        ),
        (
            "Error in x: there is no package called 'janitor'",
            "there is no package called ‘janitor’",
            "Error in x: there is no package called 'janitor'",
        ),
        (
            "An error has occurred. Check your logs or contact the app author for clarification.",
            "no warehouse",
            "no warehouse",
        ),
        (
            "the app closed the session (code 1011)",
            "no warehouse",
            "the app closed the session (code 1011); the log says: no warehouse",
        ),
        ("connect to db with token=abc", None, "connect to db with token=…"),
    ],
)
def test_session_and_log_are_joined_without_saying_a_thing_twice(said: str, cause: str | None, joined: str) -> None:
    assert join_reason(said, cause) == joined


def test_a_redacted_message_of_streamlit_gives_way_to_the_log() -> None:
    said = "KeyError: This app has encountered an error. The original error message is redacted to prevent data leaks."
    assert join_reason(said, "KeyError: 'b'") == "KeyError: 'b'"
