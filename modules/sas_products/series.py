"""Light curves: the external DP1 one (flux around 1) and the SAS's own (ppm)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sas_products.arrays import FloatArray, IntArray, check_finite, check_increasing, check_same_length
from sas_products.errors import InputError
from sas_products.product import AttributeValue, Column, ProductGroup, open_product, write_product

PPM = 1e6


@dataclass(frozen=True)
class Series:
    """A light curve of n samples.

    `time`: days, strictly increasing. `flux`: ppm about the mean, in DP1 relative flux about 1. `quarter`:
    the number of each sample's observing quarter.
    """

    time: FloatArray
    flux: FloatArray
    quarter: IntArray

    @property
    def cadence_s(self) -> float:
        """Median time between samples, in seconds."""
        return float(np.median(np.diff(self.time))) * 86400.0


def read_series(path: Path, ident: str) -> Series:
    """Read a light curve made by the SAS: finite flux in ppm. Raises `InputError`."""
    with open_product(path, ident) as group:
        series = _read_columns(group)
        check_finite(f"{group.where}/flux", series.flux)
        return series


def read_dp1(path: Path, ident: str = "DP1_LC_MERGED") -> Series:
    """Read a Level-1 light curve: flux about 1, NaN where a sample is missing. Raises `InputError`."""
    with open_product(path, ident) as group:
        series = _read_columns(group)
        where = f"{group.where}/flux"
    if np.isinf(series.flux).any():
        raise InputError(f"{where}: infinite values (a missing sample is NaN)")
    if not np.isfinite(series.flux).any():
        raise InputError(f"{where}: no finite value")
    if not 0.5 < float(np.nanmedian(series.flux)) < 2.0:
        raise InputError(f"{where}: median {np.nanmedian(series.flux):.6g}, expected relative flux about 1")
    return series


def write_series(path: Path, ident: str, series: Series, attributes: Mapping[str, AttributeValue]) -> None:
    """Write a light curve of the SAS (ppm)."""
    _write(path, ident, series, "ppm", attributes)


def write_dp1(path: Path, series: Series, attributes: Mapping[str, AttributeValue]) -> None:
    """Write a Level-1 light curve (relative flux about 1)."""
    _write(path, "DP1_LC_MERGED", series, "1", attributes)


def _write(path: Path, ident: str, series: Series, unit: str, attributes: Mapping[str, AttributeValue]) -> None:
    content = {
        "time": Column(series.time, "d"),
        "flux": Column(series.flux, unit),
        "quarter": Column(series.quarter),
    }
    write_product(path, ident, content, attributes)


def _read_columns(group: ProductGroup) -> Series:
    time, flux, quarter = group.array("time"), group.array("flux"), group.array("quarter")
    check_same_length(group.where, {"time": time, "flux": flux, "quarter": quarter})
    if time.size < 2:
        raise InputError(f"{group.where}: {time.size} sample, expected at least 2")
    check_increasing(f"{group.where}/time", time)
    check_finite(f"{group.where}/quarter", quarter)
    return Series(time, flux, quarter.astype(np.int32))
