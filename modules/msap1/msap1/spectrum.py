"""Power spectral density of a curve on a grid."""

import numpy as np

from msap1.grid import Grid
from sas_products import Spectrum

UHZ_PER_HZ = 1e6


def nyquist_uhz(grid: Grid) -> float:
    """The highest frequency that the cadence resolves, in uHz."""
    return 0.5 * UHZ_PER_HZ / grid.cadence_s


def power_spectrum(grid: Grid) -> Spectrum:
    """One-sided power spectral density in ppm^2/uHz at the multiples of 1/duration, without frequency 0.

    The transform of the n cells, the missing ones being 0, divided by the number of those that are there:
    white noise has the same level whatever is missing, and without gaps the sum of the density times the
    frequency step is the variance (Parseval; the Nyquist frequency of an even n has no twin and counts once).
    """
    n = grid.flux.size
    flux = np.where(grid.there, grid.flux - grid.flux[grid.there].mean(), 0.0)
    power = np.abs(np.fft.rfft(flux)[1:]) ** 2
    power *= 2.0 * grid.cadence_s / int(grid.there.sum()) / UHZ_PER_HZ
    if n % 2 == 0:
        power[-1] /= 2.0
    return Spectrum(np.arange(1, n // 2 + 1, dtype=np.float64) * (UHZ_PER_HZ / (n * grid.cadence_s)), power)
