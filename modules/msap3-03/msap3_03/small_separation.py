"""The small separation delta nu_02 between modes of degree 0 and 2, from the collapsed echelle diagram.

The spectrum over background around nu_max is folded with the large separation and summed over the orders (Grec et al.
1983, Solar Phys. 82, 55; Bedding 2011, arXiv:1107.1723). Three ridges remain: degree 0, degree 2 just below
it, and degree 1 about half a large separation away. Three Lorentzians of one width are fitted (90 days do not determine
a width of its own for the faint degree-2 ridge). The uncertainty is the spread over realisations of the noise.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.optimize import curve_fit

from msap3_03.prior import envelope_width
from msap3_03.spectrum import RebinnedSpectrum
from sas_products import FloatArray

N_BINS = 400
N_REALISATIONS = 60
MIN_SIGNIFICANCE = 3.0
"""Height of the degree-2 ridge over its spread among the realisations, below which nothing is published."""

CURVATURES = np.linspace(0.0, 0.008, 9)
"""Relative rise of Delta nu from one order to the next; it grows as stars evolve (Mosser et al. 2013)."""
STRETCHES = np.linspace(-0.003, 0.003, 7)
"""Relative changes of Delta nu tried: the ridges weigh the orders in another way than the autocorrelation does."""
GAPS = np.linspace(0.02, 0.12, 51)
"""delta nu_02 / Delta nu searched; it is 0.066 for the Sun and falls with age."""
VISIBILITIES = (1.0, 1.5, 0.5)
"""Relative power of degrees 0, 1 and 2 in the first guess (Ballot et al. 2011, A&A 531, A124)."""
RIDGE_WIDTH = 0.012
"""Half width of a ridge over Delta nu in the first guess."""

Parameters = tuple[float, ...]
"""Level, heights of degrees 0, 1, 2, phase of degree 0, degree 1's distance from it, gap of degree 2, half width."""


@dataclass(frozen=True)
class SmallSeparation:
    """delta nu_02 in uHz, and the height of the degree-2 ridge over its spread among the realisations."""

    value: float
    uncertainty: float
    significance: float


def small_separation(
    spectrum: RebinnedSpectrum, background: FloatArray, nu_max: float, delta_nu: float, rng: np.random.Generator
) -> SmallSeparation | None:
    """Measure delta nu_02, or None when the ridges of degree 0 and 2 cannot be told apart."""
    inside = np.abs(spectrum.frequency - nu_max) <= 0.6 * envelope_width(nu_max)
    frequency = spectrum.frequency[inside]
    ratio = spectrum.psd[inside] / background[inside]
    phase = max(
        _foldings(frequency, nu_max, delta_nu), key=lambda folded: float(np.var(_smooth(_collapse(folded, ratio))))
    )
    collapsed = _collapse(phase, ratio)
    first = _fit(collapsed, _guess(collapsed))
    if first is None:
        return None
    freedom = 2 * spectrum.averaged
    again = (
        _fit(_collapse(phase, ratio * rng.chisquare(freedom, ratio.size) / freedom), first)
        for _ in range(N_REALISATIONS)
    )
    fits = np.array([fitted for fitted in again if fitted is not None])
    if len(fits) < N_REALISATIONS // 2:
        return None
    significance = first[3] / max(_spread(fits[:, 3]), 1e-12)
    if significance < MIN_SIGNIFICANCE:
        return None
    return SmallSeparation(first[6] * delta_nu, _spread(fits[:, 6]) * delta_nu, significance)


def _spread(values: FloatArray) -> float:
    """Robust standard deviation."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


_AXIS: FloatArray = (np.arange(N_BINS) + 0.5) / N_BINS


def _foldings(frequency: FloatArray, nu_max: float, delta_nu: float) -> Iterator[FloatArray]:
    """Phases (0 to 1): the solutions x, modulo 1, of nu = nu_max + Delta nu (x + curvature x^2 / 2)."""
    for curvature, stretch in product(CURVATURES, STRETCHES):
        y = (frequency - nu_max) / (delta_nu * (1.0 + stretch))
        x = y if curvature == 0.0 else (np.sqrt(1.0 + 2.0 * curvature * y) - 1.0) / curvature
        yield x % 1.0


def _collapse(phase: FloatArray, ratio: FloatArray) -> FloatArray:
    bins = np.minimum((phase * N_BINS).astype(np.int64), N_BINS - 1)
    counts = np.bincount(bins, minlength=N_BINS)
    return np.asarray(np.bincount(bins, weights=ratio, minlength=N_BINS) / np.maximum(counts, 1))


def _smooth(collapsed: FloatArray) -> FloatArray:
    return np.asarray((np.roll(collapsed, -1) + collapsed + np.roll(collapsed, 1)) / 3.0)


def _ridges(
    x: FloatArray, level: float, h0: float, h1: float, h2: float, x0: float, d1: float, gap: float, width: float
) -> FloatArray:
    """Level and three Lorentzians on the periodic axis, `width` their half width at half maximum."""
    model = np.full_like(x, level)
    for height, centre in ((h0, x0), (h1, x0 + d1), (h2, x0 - gap)):
        distance = (x - centre + 0.5) % 1.0 - 0.5
        model += height / (1.0 + (distance / width) ** 2)
    return model


def _guess(collapsed: FloatArray) -> Parameters:
    """The position and gap whose three ridges correlate best with the collapsed diagram.

    Degree 1 is put where the asymptotic relation has it: below the middle by a third of the gap.
    """
    data = np.fft.rfft(collapsed - collapsed.mean())
    best = (-np.inf, 0.0, 0.0)
    for gap in GAPS:
        template = _ridges(_AXIS, 0.0, *VISIBILITIES, _AXIS[0], 0.5 - gap / 3.0, float(gap), RIDGE_WIDTH)
        template -= template.mean()
        # One transform gives the correlation at every position.
        correlation = np.fft.irfft(data * np.conj(np.fft.rfft(template)), N_BINS) / np.linalg.norm(template)
        shift = int(np.argmax(correlation))
        if correlation[shift] > best[0]:
            best = (float(correlation[shift]), float(gap), float(_AXIS[shift]))
    _, gap, position = best
    level = float(np.median(collapsed))
    height = max(float(collapsed.max()) - level, 1e-6) / VISIBILITIES[1]
    heights = (height * visibility for visibility in VISIBILITIES)
    return (level, *heights, position, 0.5 - gap / 3.0, gap, RIDGE_WIDTH)


def _fit(collapsed: FloatArray, start: Parameters) -> Parameters | None:
    """Least-squares fit, or None when it does not converge or runs into a bound."""
    position = start[4]
    low = (0.0, 0.0, 0.0, 0.0, position - 0.05, 0.40, 0.01, 0.5 / N_BINS)
    high = (np.inf, np.inf, np.inf, np.inf, position + 0.05, 0.55, 0.14, 0.05)
    try:
        fitted, _ = curve_fit(_ridges, _AXIS, collapsed, p0=start, bounds=(low, high), max_nfev=100)
    except (RuntimeError, ValueError):
        return None
    for i in (4, 5, 6, 7):
        margin = 0.01 * (high[i] - low[i])
        if not low[i] + margin < fitted[i] < high[i] - margin:
            return None
    return tuple(float(value) for value in fitted)
