"""Every invariant of the design's section 3 that the release machine keeps, broken in each of three ways.

The property tests must notice every one of them: a promise that can be broken without a test failing is none.

Left out are two. Invariant 8 (a pass needs enough samples) is mostly kept where sessions are opened, in ``checks``; what
the machine itself decides on samples is here, but not in each way. Invariant 13 (no secret leaves) is kept by building,
reading and wording, and has tests of its own (``test_redaction``, ``test_source_attacks``).
"""

from tests.mutants import stability, steps, traffic, truth

MUTANTS = (*traffic.MUTANTS, *stability.MUTANTS, *steps.MUTANTS, *truth.MUTANTS)
COMPLETE = (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12)
"""Invariants that are broken in every way."""
