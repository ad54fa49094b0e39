"""Checks that every column of a product passes, written or read."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from sas_products.errors import InputError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int32]


def check_same_length(where: str, columns: Mapping[str, npt.NDArray[np.generic]]) -> None:
    """Raise `InputError` unless all columns are one-dimensional, not empty and equally long."""
    lengths: dict[str, int] = {}
    for name, column in columns.items():
        if column.ndim != 1:
            raise InputError(f"{where}/{name}: expected one dimension, found shape {column.shape}")
        lengths[name] = column.size
    if 0 in lengths.values():
        raise InputError(f"{where}: no samples")
    if len(set(lengths.values())) > 1:
        sizes = ", ".join(f"{name} {size}" for name, size in lengths.items())
        raise InputError(f"{where}: datasets differ in length ({sizes})")


def check_finite(where: str, column: FloatArray) -> None:
    """Raise `InputError` at the first value that is not finite."""
    bad = np.flatnonzero(~np.isfinite(column))
    if bad.size:
        raise InputError(f"{where}: {bad.size} of {column.size} values not finite, the first at index {bad[0]}")


def check_increasing(where: str, column: FloatArray) -> None:
    """Raise `InputError` unless the values are finite and strictly increase."""
    check_finite(where, column)
    bad = np.flatnonzero(np.diff(column) <= 0)
    if bad.size:
        i = int(bad[0])
        raise InputError(f"{where}: not strictly increasing at index {i + 1} ({column[i]!r} then {column[i + 1]!r})")
