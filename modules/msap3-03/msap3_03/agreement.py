"""Do all estimates speak of the same star? The first contradiction is the reason to publish nothing."""

from math import pi, sqrt

from msap3_03.detection import PowerExcess, RegularPattern
from msap3_03.global_fit import GlobalFit
from msap3_03.prior import envelope_width, expected_delta_nu
from msap3_03.spectrum import RebinnedSpectrum

DELTA_NU_TOLERANCE = 0.03
"""Relative, between the separation of the pattern and that of the fit. The pattern is searched in steps of 0.5 %."""
RELATION_TOLERANCE = 0.25
"""Relative, between Delta nu and the expected one at nu_max."""
MAX_SPIKE_SHARE = 0.5
"""Of the excess in the three highest bins. In simulated spectra modes stayed below 0.25, and a spike was above 0.9."""
BROADEST_MODE = 5.0
"""uHz; the lifetime of modes sets how often nu_max is measured anew in a time series. F stars reach this width."""
MODES_PER_SEPARATION = 3.0
"""Of degree 0, 1 and 2."""
_LEAST_SHARE = 0.5
"""Of the smallest uncertainty that there can be. The spread of a few dozen samples is itself uncertain."""


def contradiction(
    fit: GlobalFit, pattern: RegularPattern, excess: PowerExcess, spectrum: RebinnedSpectrum, snr_min: float
) -> str | None:
    """Why a fit is not that of the star whose pattern was found, or None."""
    if excess.ratio < snr_min:
        return f"power excess: signal to noise {excess.ratio:.3f} is below {snr_min:g}"
    if excess.spike_share > MAX_SPIKE_SHARE:
        return f"power excess: {excess.spike_share:.0%} of it is in a spike, not in modes"
    return _against_pattern(fit, pattern) or _against_relation(fit) or _too_certain(fit, spectrum)


def _against_pattern(fit: GlobalFit, pattern: RegularPattern) -> str | None:
    delta_nu, nu_max = fit.delta_nu.value, fit.nu_max.value
    if abs(delta_nu / pattern.delta_nu - 1.0) > DELTA_NU_TOLERANCE:
        return f"Delta nu is {delta_nu:.2f} uHz by pySYD and {pattern.delta_nu:.2f} uHz by the regular pattern"
    if abs(nu_max - pattern.nu_max) > envelope_width(pattern.nu_max):
        return f"nu_max is {nu_max:.0f} uHz by pySYD, and the regular pattern is at {pattern.nu_max:.0f} uHz"
    return None


def _against_relation(fit: GlobalFit) -> str | None:
    delta_nu, nu_max = fit.delta_nu.value, fit.nu_max.value
    expected = expected_delta_nu(nu_max)
    if abs(delta_nu / expected - 1.0) > RELATION_TOLERANCE:
        return f"Delta nu {delta_nu:.1f} uHz does not fit nu_max {nu_max:.0f} uHz (expected {expected:.1f} uHz)"
    return None


def _too_certain(fit: GlobalFit, spectrum: RebinnedSpectrum) -> str | None:
    least = _LEAST_SHARE * smallest_uncertainty(fit, spectrum)
    given = fit.nu_max.uncertainty
    if given is not None and given < least:
        return f"nu_max {fit.nu_max} uHz: no time series of this length gives less than {least:.2f} uHz"
    if fit.delta_nu.uncertainty is not None and fit.delta_nu.uncertainty <= 0.0:
        return f"Delta nu {fit.delta_nu} uHz: every realisation of the noise gave the same"
    return None


def smallest_uncertainty(fit: GlobalFit, spectrum: RebinnedSpectrum) -> float:
    """Of nu_max (uHz), without any noise but that of the excitation.

    The centroid of an envelope of the standard deviation s that n independent exponential variables sample is known
    to s / sqrt(n). A mode of the width G is excited anew pi G T times in a time T. (For 1147 days, nu_max 2188 and a
    width of 1 uHz this is 3.4 uHz; Lund et al. 2017, ApJ 835, 172, give 16 Cyg A 3.0 to 4.6 uHz.)
    """
    width = envelope_width(fit.nu_max.value)
    modes = MODES_PER_SEPARATION * width / fit.delta_nu.value
    resolution = spectrum.step / spectrum.averaged
    times = max(1.0, pi * BROADEST_MODE / resolution)
    return width / 2.355 / sqrt(modes * times)
