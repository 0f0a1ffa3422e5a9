"""The catalogue of mutants fits the source as it is now, breaks every invariant in every way, and is still Python."""

import ast
from collections import Counter

import pytest

from tests.mutants.catalogue import COMPLETE, MUTANTS
from tests.mutants.mutant import PLAN, WAYS, Mutant
from tests.mutants.runner import PACKAGE, TESTS

IDS = [mutant.name for mutant in MUTANTS]


@pytest.mark.parametrize("mutant", MUTANTS, ids=IDS)
def test_its_old_text_occurs_once_and_the_mutated_file_is_python_that_says_something_else(mutant: Mutant) -> None:
    mutated = mutant.applied(PACKAGE)
    before = (PACKAGE / PLAN / mutant.file).read_text(encoding="utf-8")
    assert ast.dump(ast.parse(mutated)) != ast.dump(ast.parse(before))
    compile(mutated, mutant.file, "exec")


def test_every_invariant_is_broken_in_every_way() -> None:
    found = Counter((mutant.invariant, mutant.way) for mutant in MUTANTS)
    assert [(number, way) for number in COMPLETE for way in WAYS if not found[number, way]] == []
    assert {way for _, way in found} == set(WAYS)


def test_no_two_are_the_same_and_each_says_why() -> None:
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in MUTANTS}) == len(MUTANTS)
    assert all(mutant.why.endswith(".") and "\n" not in mutant.why for mutant in MUTANTS)


def test_the_tests_that_have_to_catch_them_are_there() -> None:
    assert all((PACKAGE.parent / test).is_file() for test in TESTS)
