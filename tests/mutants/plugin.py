"""Inside a run against a mutant: it really is the mutated package, and whoever finds something says so at once.

Hypothesis looks for the smallest example of a failure, which takes minutes and serves nobody here; and it draws the same
examples every time, so that a mutant that was caught once is caught always.
"""

import os
from pathlib import Path

import pytest
from hypothesis import Phase, settings

import dataapp_operator.plan.decide
from tests.mutants.mutant import HOME

settings.register_profile("mutants", database=None, derandomize=True, phases=(Phase.explicit, Phase.generate))
settings.load_profile("mutants")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Nothing was proved by a run against the package as it is."""
    loaded, wanted = Path(dataapp_operator.plan.decide.__file__), Path(os.environ[HOME])
    if not loaded.is_relative_to(wanted):
        raise pytest.UsageError(f"the tests see {loaded}, and not the mutated package in {wanted}")
