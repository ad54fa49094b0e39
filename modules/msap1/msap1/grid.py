"""A light curve on an even grid of times, on which a sample is there or missing."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sas_products import FloatArray, IntArray, ScienceError, Series

SECONDS_PER_DAY = 86400.0
# Longer than any mission at the shortest cadence used here; a wild time stamp would fill the memory.
MAX_CELLS = 50_000_000

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Grid:
    """n cells of `cadence_d` days from time `start` (the centre of the first).

    `flux`: ppm about 0, 0 where missing. `there`: whether a cell has a value. `quarter`: of every cell.
    """

    start: float
    cadence_d: float
    flux: FloatArray
    there: BoolArray
    quarter: IntArray

    @property
    def time(self) -> FloatArray:
        """Centres of the cells, in days."""
        return self.start + self.cadence_d * np.arange(self.flux.size, dtype=np.float64)

    @property
    def cadence_s(self) -> float:
        """Length of a cell in seconds."""
        return self.cadence_d * SECONDS_PER_DAY

    @property
    def duration_d(self) -> float:
        """Length of the whole grid in days."""
        return self.flux.size * self.cadence_d

    @property
    def duty_cycle(self) -> float:
        """Fraction of cells that have a value."""
        return float(self.there.mean())

    def with_flux(self, flux: FloatArray, there: BoolArray | None = None) -> "Grid":
        """The same cells with other values; missing ones become 0."""
        there = self.there if there is None else there
        return Grid(self.start, self.cadence_d, np.where(there, flux, 0.0), there, self.quarter)

    def series(self) -> Series:
        """The cells that have a value."""
        return Series(self.time[self.there], self.flux[self.there], self.quarter[self.there])


def to_grid(series: Series, min_cadence_s: float) -> Grid:
    """Average a Level-1 curve (flux about 1, NaN where missing) on a grid, as ppm about its mean.

    The cell is the curve's median cadence, or the multiple of it that first reaches `min_cadence_s` (camera
    groups that observe in turn give a merged curve sampled faster than any of them). Raises `ScienceError`.
    """
    valid = np.isfinite(series.flux)
    time, flux = series.time[valid], series.flux[valid]
    if time.size < 100:
        raise ScienceError(f"DP1_LC_MERGED: {time.size} valid samples, at least 100 are needed")
    cadence = float(np.median(np.diff(series.time)))
    # The tolerance keeps 4 x 6.25 s at 25 s although the median is a rounded number.
    factor = max(1, int(np.ceil(min_cadence_s / (cadence * SECONDS_PER_DAY) - 1e-3)))
    cell = cadence * factor
    start = float(time[0]) + 0.5 * (factor - 1) * cadence
    cells = round((float(time[-1]) - start) / cell) + 1
    if cells > MAX_CELLS:
        raise ScienceError(f"DP1_LC_MERGED: {cells} cells of {cell * SECONDS_PER_DAY:.2f} s from first to last time")
    index = np.clip(np.rint((time - start) / cell).astype(np.int64), 0, cells - 1)
    counts = np.bincount(index, minlength=cells)
    sums = np.bincount(index, weights=flux, minlength=cells)
    there = counts > 0
    mean = float(flux.mean())
    ppm = np.where(there, (sums / np.maximum(counts, 1) / mean - 1.0) * 1e6, 0.0)
    return Grid(start, cell, ppm, there, _quarters(index, series.quarter[valid], cells))


def regrid(series: Series) -> Grid:
    """The grid of a curve that one was written from: its cells are whole multiples of the cadence apart."""
    steps = round(float(series.time[-1] - series.time[0]) / float(np.median(np.diff(series.time))))
    if steps >= MAX_CELLS:
        raise ScienceError(f"IDP_SAS_VARLC: {steps + 1} cells from first to last time")
    start = float(series.time[0])
    cadence = float(series.time[-1] - start) / steps
    index = np.rint((series.time - start) / cadence).astype(np.int64)
    flux, there = np.zeros(steps + 1), np.zeros(steps + 1, bool)
    flux[index], there[index] = series.flux, True
    return Grid(start, cadence, flux, there, _quarters(index, series.quarter, steps + 1))


def _quarters(index: npt.NDArray[np.int64], quarter: IntArray, cells: int) -> IntArray:
    """The quarter of every cell; a missing one has that of the cell before it."""
    known = np.zeros(cells, np.int64)
    known[index] = np.arange(index.size)
    return quarter[np.maximum.accumulate(known)].astype(np.int32)


def bin_cells(grid: Grid, bin_s: float) -> Grid:
    """Average cells to about `bin_s` seconds: the nearest multiple of the cell, at least one cell."""
    factor = max(1, round(bin_s / grid.cadence_s))
    if factor == 1:
        return grid
    cells = -(-grid.flux.size // factor)
    index = np.arange(grid.flux.size) // factor
    counts = np.bincount(index, weights=grid.there, minlength=cells)
    sums = np.bincount(index, weights=grid.flux, minlength=cells)
    flux = sums / np.maximum(counts, 1)
    start = grid.start + 0.5 * (factor - 1) * grid.cadence_d
    return Grid(start, grid.cadence_d * factor, flux, counts > 0, grid.quarter[::factor])
