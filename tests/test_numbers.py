"""Numbers from outside."""

import math

import pytest

from plato_sas.numbers import finite


@pytest.mark.parametrize(
    ("value", "number"), [(3, 3.0), (-0.5, -0.5), (10**400, None), (math.inf, None), (math.nan, None)]
)
def test_only_what_a_float_can_hold_is_a_number(value: float, number: float | None) -> None:
    assert finite(value) == number
