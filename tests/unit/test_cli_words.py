"""A command is one word in a list of words; the others are somebody else's."""

import pytest

from dataapp_operator.cli import words
from dataapp_operator.plan import commands, names
from tests.unit.cli_rig import NOW


def test_the_annotations_are_those_that_the_operator_reads() -> None:
    assert words.annotation(words.PROMOTE) == names.ANNOTATION_PROMOTE
    assert words.annotation(words.RETRY) == names.ANNOTATION_RETRY
    assert words.annotation(words.SUSPEND) == names.ANNOTATION_SUSPEND
    assert set(words.ANSWERED) == set(commands.COMMANDS)


def test_a_mark_makes_a_word_another_word_and_says_no_more() -> None:
    assert words.marked("14:12", NOW) == "14:12@20261122T100400Z"
    for said in ("14:12", "14:12@20261122T100400Z", "r14:12", " 14:12@again"):
        assert words.unmarked(said) == "14:12"
    assert words.unmarked(None) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, None),
        ("", None),
        ("production=14", "14"),
        (" test = 3 , production = 14 ", "14"),
        ("production=13,production=14", "14"),
        ("productions=14", None),
        ("production", None),
        ("production=14:12", "14:12"),
        ("production=", ""),
    ],
)
def test_what_is_said_for_an_environment(value: str | None, said: str | None) -> None:
    assert words.word(value, "production") == said


@pytest.mark.parametrize(
    ("before", "new", "after"),
    [
        (None, "14", "production=14"),
        ("", "14", "production=14"),
        ("test=3", "14", "test=3,production=14"),
        ("production=13,test=3", "14", "test=3,production=14"),
        ("production=12,production=13", "14", "production=14"),
        ("nonsense, test=3", "14", "nonsense,test=3,production=14"),
        ("production=13,test=3", None, "test=3"),
        ("production=13", None, None),
        (None, None, None),
    ],
)
def test_a_word_is_set_and_those_of_others_are_kept(before: str | None, new: str | None, after: str | None) -> None:
    assert words.with_word(before, "production", new) == after
