"""Filters that know of missing cells."""

import numpy as np

from msap1.grid import BoolArray, Grid
from sas_products import FloatArray

# With fewer cells on a side their mean is no better than a single one.
_MIN_SIDE = 3


def high_pass(grid: Grid, width_d: float) -> Grid:
    """Subtract the curve smoothed with a triangle that is `width_d` days wide at half its height.

    Away from edges and gaps a sinusoid of frequency f (per day) keeps the part 1 - sinc(f width_d)^2 of its
    amplitude, so that periods up to `width_d` pass nearly whole. A width of 0 subtracts nothing.
    """
    if width_d == 0:
        return grid
    cells = max(1, round(width_d / grid.cadence_d))
    return grid.with_flux(grid.flux - smooth(grid.flux, grid.there, cells))


def smooth(flux: FloatArray, there: BoolArray, cells: int) -> FloatArray:
    """Triangular moving mean over the cells that are there: a box of `cells` cells, twice.

    Missing cells weigh nothing; at the ends the window is cut. Where it holds no value the result is 0.
    """
    weights = _box(_box(there.astype(np.float64), cells), cells)
    sums = _box(_box(np.where(there, flux, 0.0), cells), cells)
    # Sums of ones leave rounding errors where the true weight is 0.
    some = weights > 0.5
    return np.where(some, sums / np.where(some, weights, 1.0), 0.0)


def _box(values: FloatArray, cells: int) -> FloatArray:
    """Sum over `cells` cells about each (one less on the right if even; fewer at the ends)."""
    total = _running(values)
    centre = np.arange(values.size)
    low = np.maximum(centre - cells // 2, 0)
    high = np.minimum(centre + (cells - 1) // 2 + 1, values.size)
    return np.asarray(total[high] - total[low], np.float64)


def clip_outliers(grid: Grid, sigma: float, width_d: float) -> Grid:
    """Drop cells further than `sigma` standard deviations from the trend about them, `width_d` days wide.

    The deviation is the median absolute one times 1.4826, which outliers do not move. A `sigma` of 0 drops nothing.
    """
    if sigma == 0:
        return grid
    cells = max(_MIN_SIDE, round(0.5 * width_d / grid.cadence_d))
    good = grid.there
    # The second time the outliers no longer pull the trend of their neighbours.
    for _ in range(2):
        residual = np.where(grid.there, grid.flux - trend(grid.flux, good, cells), 0.0)
        judged = np.isfinite(residual)
        spread = 1.4826 * float(np.median(np.abs(residual[good & judged]))) if (good & judged).any() else np.inf
        good = grid.there & ~(judged & (np.abs(residual) > sigma * spread))
    return grid.with_flux(grid.flux, good)


def trend(flux: FloatArray, there: BoolArray, cells: int) -> FloatArray:
    """The line through the centres of the `cells` cells before and after each cell; NaN with too few on a side.

    A linear trend has no residual, whatever cells are missing.
    """
    i = np.arange(flux.size)
    low, high = np.maximum(i - cells, 0), np.minimum(i + cells + 1, flux.size)
    sums = [_running(np.where(there, values, 0.0)) for values in (1.0, i, flux)]
    before, x_before, y_before = (total[i] - total[low] for total in sums)
    after, x_after, y_after = (total[high] - total[i + 1] for total in sums)
    enough = (before >= _MIN_SIDE) & (after >= _MIN_SIDE)
    before, after = np.where(enough, before, np.nan), np.where(enough, after, np.nan)
    x0, y0, x1, y1 = x_before / before, y_before / before, x_after / after, y_after / after
    return np.asarray(y0 + (y1 - y0) * (i - x0) / (x1 - x0), np.float64)


def _running(values: FloatArray) -> FloatArray:
    return np.concatenate([[0.0], np.cumsum(values)])


def fill_gaps(grid: Grid, max_gap_d: float) -> Grid:
    """Fill gaps no longer than `max_gap_d` days by a straight line between the levels on their two sides.

    A level is the mean of as many cells as the gap has, at most ten: one noisy cell does not tilt the line.
    """
    flux, there = grid.flux.copy(), grid.there.copy()
    edges = np.flatnonzero(np.diff(grid.there.astype(np.int8)))
    starts = edges[grid.there[edges]] + 1
    ends = edges[~grid.there[edges]] + 1
    for start, end in zip(starts, ends[ends > starts[0]] if starts.size else (), strict=False):
        length = int(end - start)
        if length * grid.cadence_d > max_gap_d:
            continue
        reach = min(length, 10)
        left = _level(grid, slice(max(start - reach, 0), start))
        right = _level(grid, slice(end, end + reach))
        flux[start:end] = np.interp(np.arange(1, length + 1), [0, length + 1], [left, right])
        there[start:end] = True
    return grid.with_flux(flux, there)


def _level(grid: Grid, part: slice) -> float:
    return float(grid.flux[part][grid.there[part]].mean())
