"""Numbers from outside (facts, values of products), as CEL, FITS and the API server can hold them."""

import math

MAX_INTEGER = 2**63 - 1  # the smallest one of 64 bits means a missing value in FITS


def finite(value: float) -> float | None:
    """The number as a float; None if it is NaN, infinite, or an integer that no float can hold."""
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
