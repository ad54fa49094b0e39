"""Every violation gets into the table, and into the right row."""

from dataclasses import replace

import pytest

from e2e.chaos.fault import Fault
from e2e.chaos.faults import FAULTS
from e2e.chaos.judge import Rule, Violation
from e2e.chaos.suite import share
from e2e.chaos.workload import FUSED, whole

TWO = Fault("two", {"first": "", "second": ""}, lambda _: None, 1)
STARS = [replace(whole(name, FUSED), fault=row) for name, row in (("a", "first"), ("a-b", "second"))]


def _violation(where: str) -> Violation:
    return Violation(Rule.ONCE, where, "")


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("a/step", {"first"}),
        ("a", {"first"}),
        ("Job a-step-0123456789-1", {"first"}),
        ("a-b/step", {"first", "second"}),  # could be a Job of the one or the other: both tell it
        ("operator", {"first", "second"}),
        ("Job unknown-1", {"first", "second"}),
    ],
)
def test_no_violation_is_lost(where: str, rows: set[str]) -> None:
    shares = share([_violation(where)], STARS, TWO)
    assert {row for row, found in shares.items() if found} == rows


def test_a_star_of_no_row_is_an_error() -> None:
    with pytest.raises(KeyError, match="no row 'two'"):
        share([_violation("c")], [whole("c", FUSED)], TWO)


def test_names_and_rows_are_unique() -> None:
    rows = [row for fault in FAULTS.values() for row in fault.rows]
    assert len(rows) == len(set(rows))
    assert all(name == fault.name for name, fault in FAULTS.items())
