"""What holds for all tests."""

import asyncio
import gc
import os

import pytest
from hypothesis import settings

settings.register_profile("quick", database=None, deadline=None, derandomize=True)
if settings.get_current_profile_name() == "default" and os.environ.get("DATAAPP_DEEP") != "1":
    # The same examples for the same code, on every machine: whoever sees a failure has made it. `make deep` looks further.
    settings.load_profile("quick")


def pytest_configure(config: pytest.Config) -> None:
    """No event loop is left lying around: looptime would open one in the first sync test, and nobody would close it."""
    asyncio.set_event_loop(None)


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: the garbage collector need not look through it again and again."""
    gc.collect()
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--must-run", action="store_true", help="a skipped test marked must_run is a failure")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """With --must-run a skipped R, session or gateway test fails the run: skipping them would prove nothing."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and item.config.getoption("--must-run") and item.get_closest_marker("must_run"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} may not be skipped here, but was: {reason}"
