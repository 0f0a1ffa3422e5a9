"""The page about the command line shows commands that there are, all of them, and exit codes that are meant."""

import re

from typer.main import get_command
from typer.testing import CliRunner

from dataapp_operator.cli import errors, main
from tests.unit.chart_rig import ROOT

PAGE = (ROOT / "docs" / "cli.md").read_text()
COMMANDS = {command.name or command.callback.__name__ for command in main.app.registered_commands}


def test_every_command_is_shown_with_an_example_and_no_other() -> None:
    shown = {line.split()[0] for line in re.findall(r"^\$ kubectl dataapp (.+)$", PAGE, re.MULTILINE)}
    assert shown == COMMANDS
    assert {"list", "status", *re.findall(r"\*\*([a-z-]+)\*\*", PAGE)} == COMMANDS


def test_every_option_that_is_named_exists() -> None:
    helps = "".join(CliRunner().invoke(main.app, [command, "--help"]).output for command in COMMANDS)
    for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE):
        assert option in helps, option
    assert get_command(main.app) is not None


def test_the_exit_codes_are_those_of_the_table() -> None:
    rows = re.findall(r"^\| ([0-3]) \|", PAGE, re.MULTILINE)
    assert [int(row) for row in rows] == [0, errors.REFUSED, errors.USAGE, errors.UNANSWERED]


def test_every_line_of_help_is_whole_in_the_list_of_commands() -> None:
    listed = CliRunner().invoke(main.app, ["--help"]).output
    lines = listed.partition("Commands:")[2].splitlines()
    assert {line.split()[0] for line in lines if line} == COMMANDS
    assert [line for line in lines if line.endswith("...")] == []
