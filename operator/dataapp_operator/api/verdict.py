"""The four verdicts of a check.

Absence of data is never success: a check that saw nothing is *inconclusive*, one that could not run is an *error*,
and only *pass* lets a release go on. (Why four and not two: a busy app is not a broken one, and an unreachable
pod is not a healthy one.)
"""

from enum import StrEnum


class Verdict(StrEnum):
    """What a check concluded."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
