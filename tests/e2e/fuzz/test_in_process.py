"""A few thousand hostile files, messages and conditions against the code that reads them; `make fuzz` runs more."""

import pytest

from e2e.fuzz.run import IN_PROCESS, run_in_process
from e2e.fuzz.tally import Tally

CASES = 600
SEED = 20261127


@pytest.mark.parametrize("kind", IN_PROCESS)
def test_each_case_ends_as_it_should(kind: str) -> None:
    tally = Tally(SEED)
    run_in_process(tally, kind, range(CASES))
    assert tally.findings == []
    assert tally.outcomes[kind].total() == CASES
    assert len(tally.outcomes[kind]) > 1, "the cases are not all alike"


# What the long form has found.
@pytest.mark.parametrize(
    ("kind", "seed", "case"),
    [
        ("message", 1, 2),  # nested deeper than Python's parser goes
        ("message", 2, 483),  # a fact's name of 300 characters
        ("message", 3, 870),  # a missing output that is no product's name
        ("product", 1, 259),  # an HDF5 file that says it is longer than memory
        ("facts", 3, 214),  # a lone surrogate
        ("when", 2, 3),  # a wrong regular expression
        ("when", 2, 24),  # a fact with a lone surrogate
        ("when", 2, 44),  # a division by zero
        ("when", 1, 177),  # an expression with a lone surrogate
    ],
)
def test_what_was_found_stays_mended(kind: str, seed: int, case: int) -> None:
    tally = Tally(seed)
    run_in_process(tally, kind, range(case, case + 1))
    assert tally.findings == []
