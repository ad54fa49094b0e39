"""Are there solar-like oscillations? Two tests, each with a false-alarm probability.

The regular pattern: the envelope autocorrelation function (Mosser & Appourchaux 2009, A&A 508, 877). The power
spectrum under a Hann window of the width expected for the oscillations is Fourier transformed; modes of degree 0
and 1 alternate every half large separation, so a peak of the squared modulus stands at the time 2 / Delta nu. In units
of its mean for pure noise it follows the exponential law there, which gives the probability of a false alarm.

The power: the mean of spectrum over fitted background in the envelope (Chaplin et al. 2011, ApJ 732, 54), which for
pure noise is a chi-squared variable with two degrees of freedom for each independent frequency.
"""

from dataclasses import dataclass
from math import ceil, exp, expm1, log1p

import numpy as np
from scipy.stats import chi2

from msap3_03.prior import envelope_width, expected_delta_nu
from msap3_03.spectrum import RebinnedSpectrum
from sas_products import FloatArray

DELTA_NU_RANGE = 0.25
"""Half width, relative, of the range of Delta nu searched around the expected one."""
DENSE_SEARCH = 3.0
"""The search samples times and windows densely, and its highest peak is that of more trials than there are independent
ones. Without this factor twice as many noise spectra as the probability said gave an alarm (111 of 90 days)."""
SPIKE_BINS = 3
"""A line that is narrower than the resolution reaches into the bins beside its own."""


@dataclass(frozen=True)
class RegularPattern:
    """The highest peak found: at `nu_max` and `delta_nu` (uHz), its height in units of the mean for noise, and the
    probability that noise alone gives one as high anywhere in the search."""

    nu_max: float
    delta_nu: float
    height: float
    false_alarm: float


@dataclass(frozen=True)
class PowerExcess:
    """Mean of (spectrum / background) - 1 in the envelope, and the probability that noise alone gives as much.

    `spike_share`: how much of the excess the three highest bins make. Modes share it between dozens.
    """

    ratio: float
    false_alarm: float
    spike_share: float


def find_regular_pattern(spectrum: RebinnedSpectrum, low: float, high: float) -> RegularPattern | None:
    """Search nu_max from `low` to `high` (uHz). None when not one window of the search lies within the spectrum."""
    best: tuple[float, float, float] | None = None
    trials = 0.0
    centre = low
    while centre <= high:
        width = envelope_width(centre)
        window = (spectrum.frequency >= centre - width) & (spectrum.frequency <= centre + width)
        if spectrum.frequency[0] <= centre - width and spectrum.frequency[-1] >= centre + width:
            delta_nu = expected_delta_nu(centre) * np.linspace(1 - DELTA_NU_RANGE, 1 + DELTA_NU_RANGE, 100)
            heights = _autocorrelation(spectrum.frequency[window], spectrum.psd[window], 2.0 / delta_nu)
            # Times closer than the inverse of the window's width are not independent.
            trials += max(1.0, float(np.ptp(2.0 / delta_nu)) * width)
            peak = int(np.argmax(heights))
            if best is None or heights[peak] > best[0]:
                best = (float(heights[peak]), centre, float(delta_nu[peak]))
        centre += width / 4.0
    if best is None:
        return None
    return RegularPattern(best[1], best[2], best[0], _any_of(ceil(DENSE_SEARCH * trials), exp(-best[0])))


def _autocorrelation(frequency: FloatArray, psd: FloatArray, times: FloatArray) -> FloatArray:
    """Squared modulus of the windowed spectrum's transform at `times` (1/uHz), in units of its mean for noise."""
    # A slope of the spectrum would change the weights, and with them the mean for noise: divide it out first.
    level = np.polynomial.Polynomial.fit(frequency, psd, 2)(frequency)
    flat = psd / np.maximum(level, 1e-3 * psd.mean())
    weights = np.hanning(frequency.size)
    weighted = weights * flat
    phase = np.exp(2j * np.pi * np.outer(times, frequency - frequency[0]))
    power = np.abs(phase @ (weighted - weights * np.average(flat, weights=weights))) ** 2
    variance = float(np.average((flat - 1.0) ** 2, weights=weights**2))
    return np.asarray(power / (np.sum(weights**2) * max(variance, 1e-30)))


def _any_of(trials: int, probability: float) -> float:
    """Probability of at least one success in independent trials, exact for tiny probabilities."""
    return -expm1(trials * log1p(-min(probability, 1.0 - 1e-16)))


def power_excess(spectrum: RebinnedSpectrum, background: FloatArray, nu_max: float) -> PowerExcess:
    """The excess within one envelope width around `nu_max` (uHz); `background` is as long as the spectrum."""
    half = 0.5 * envelope_width(nu_max)
    inside = np.abs(spectrum.frequency - nu_max) <= half
    over = spectrum.psd[inside] / background[inside]
    ratio = float(np.mean(over))
    independent = int(inside.sum()) * spectrum.averaged
    highest = float(np.sum(np.sort(over)[-SPIKE_BINS:] - 1.0))
    share = highest / (over.size * (ratio - 1.0)) if ratio > 1.0 else 1.0
    return PowerExcess(ratio - 1.0, float(chi2.sf(2.0 * independent * ratio, 2 * independent)), share)
