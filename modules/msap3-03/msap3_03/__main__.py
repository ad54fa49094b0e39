"""Read the spectrum and the classical parameters, decide if the star oscillates, measure it, write the products."""

import logging
import sys
from dataclasses import dataclass

import numpy as np

from msap3_03 import NAME, VERSION
from msap3_03.agreement import contradiction
from msap3_03.detection import PowerExcess, RegularPattern, find_regular_pattern, power_excess
from msap3_03.global_fit import Estimate, FitFailed, GlobalFit
from msap3_03.prior import NuMaxPrior, envelope_width, nu_max_from_delta_nu, nu_max_prior
from msap3_03.small_separation import small_separation
from msap3_03.spectrum import RebinnedSpectrum, rebin
from sas_products import Column, Scalar, ScienceError, Step, run, write_product

logger = logging.getLogger(NAME)

FIT_LOW, FIT_HIGH, FIT_STEP = 50.0, 8000.0, 0.2
"""uHz. Below the first, msap1's long-term filter and rotation rule; above the second nothing oscillates. A bin of
0.2 uHz is a tenth of pySYD's own smoothing before the autocorrelation, and keeps four years as quick as a quarter."""
MAX_NYQUIST_SHARE = 0.98
"""The spectrum next to the Nyquist frequency mirrors itself: not searched."""
CERTAIN = 1e-10
"""Below this false-alarm probability a failed fit is a fault, not a star without oscillations."""


@dataclass(frozen=True)
class Outcome:
    """What was found, and in one sentence why that is a detection or none."""

    detected: bool
    reason: str
    pattern: RegularPattern | None = None
    fit: GlobalFit | None = None
    excess: PowerExcess | None = None


def main(step: Step) -> None:
    """Run the module once."""
    prior = nu_max_prior(step.read_star_data())
    spectrum = step.read_spectrum("IDP_SAS_AARPSD")
    nyquist = float(spectrum.frequency[-1])
    logger.info(
        "nu_max prior %.0f uHz, relative sigma %.2f, from %s; Nyquist frequency %.1f uHz",
        prior.value, prior.relative_sigma, prior.source, nyquist,
    )  # fmt: skip
    usable = min(FIT_HIGH, MAX_NYQUIST_SHARE * nyquist)
    rebinned = rebin(spectrum, FIT_LOW, usable, FIT_STEP)
    outcome = search(step, prior, rebinned, usable)
    logger.info("oscillations %s: %s", "detected" if outcome.detected else "not detected", outcome.reason)
    publish(step, prior, rebinned, outcome)


def search(step: Step, prior: NuMaxPrior, spectrum: RebinnedSpectrum, usable: float) -> Outcome:
    """Apply the tests one after the other; the first that fails names the reason. Raises `ScienceError`."""
    alarm = step.number("false_alarm_probability")
    low, high = prior.interval(step.number("prior_sigmas"))
    low, high = max(low, FIT_LOW), min(high, usable)
    if prior.value + 0.5 * envelope_width(prior.value) > usable or low >= high:
        return Outcome(False, f"nu_max is expected at {prior.value:.0f} uHz, and the spectrum ends at {usable:.0f} uHz")
    pattern = find_regular_pattern(spectrum, low, high)
    if pattern is None:
        return Outcome(False, f"no window for oscillations at {low:.0f} to {high:.0f} uHz fits into the spectrum")
    logger.info(
        "regular pattern: height %.1f at nu_max %.0f, Delta nu %.2f uHz, false-alarm probability %.2g",
        pattern.height, pattern.nu_max, pattern.delta_nu, pattern.false_alarm,
    )  # fmt: skip
    if pattern.false_alarm > alarm:
        reason = f"regular pattern: false-alarm probability {pattern.false_alarm:.2g} is above {alarm:g}"
        return Outcome(False, reason, pattern)
    # Takes seconds to import, and most stars of a campaign do not come here.
    from msap3_03.pysyd_fit import fit_spectrum

    guess = min(max(nu_max_from_delta_nu(pattern.delta_nu), low), high)
    try:
        fit = fit_spectrum(spectrum, guess, step.integer("mc_samples"), step.seed)
    except FitFailed as failure:
        if pattern.false_alarm < CERTAIN:
            raise ScienceError(
                f"IDP_SAS_AARPSD: oscillations are there, and pySYD cannot fit them: {failure}"
            ) from failure
        return Outcome(False, f"the pattern is faint and pySYD finds nothing to fit: {failure}", pattern)
    excess = power_excess(spectrum, fit.background, fit.nu_max.value)
    logger.info(
        "pySYD: nu_max %s, Delta nu %s uHz from %d samples; power excess %.3f, false-alarm probability %.2g",
        fit.nu_max, fit.delta_nu, fit.samples, excess.ratio, excess.false_alarm,
    )  # fmt: skip
    against = unlikely(fit, excess, (low, high), alarm)
    against = against or contradiction(fit, pattern, excess, spectrum, step.number("snr_min"))
    return Outcome(against is None, against or "pattern, power and separation agree", pattern, fit, excess)


def unlikely(fit: GlobalFit, excess: PowerExcess, interval: tuple[float, float], alarm: float) -> str | None:
    """Why a fit is not that of an oscillating star of these classical parameters, or None."""
    nu_max = fit.nu_max.value
    if not interval[0] <= nu_max <= interval[1]:
        return f"nu_max {nu_max:.0f} uHz lies outside {interval[0]:.0f} to {interval[1]:.0f} uHz"
    if excess.false_alarm > alarm:
        return f"power excess: false-alarm probability {excess.false_alarm:.2g} is above {alarm:g}"
    return None


def publish(step: Step, prior: NuMaxPrior, spectrum: RebinnedSpectrum, outcome: Outcome) -> None:
    """Write the products and the facts; values only where oscillations were detected."""
    flag: dict[str, Column] = {
        "flag": Column(outcome.detected),
        "nu_max_prior": Column(prior.value, "uHz"),
        "nu_max_prior_relative_sigma": Column(prior.relative_sigma),
    }
    if outcome.pattern is not None:
        flag["pattern_height"] = Column(outcome.pattern.height)
        flag["pattern_false_alarm"] = Column(outcome.pattern.false_alarm)
    if outcome.excess is not None:
        flag["power_excess"] = Column(outcome.excess.ratio)
        flag["power_excess_false_alarm"] = Column(outcome.excess.false_alarm)
        flag["power_excess_spike_share"] = Column(outcome.excess.spike_share)
    ident = "IDP_SAS_SEISMIC_DETECTION_FLAG"
    attributes = {"reason": outcome.reason, "prior_source": prior.source}
    write_product(step.output(f"{ident}.h5"), ident, flag, step.attributes(attributes))
    fit = outcome.fit
    if not outcome.detected or fit is None:
        step.write_facts({"osc_detection_flag": False, "peakbagging_flag": False})
        return
    method = f"pySYD 6.10.5, {fit.samples} Monte Carlo samples"
    step.write_scalars("DP3_SAS_NU_MAX", scalar(fit.nu_max), method=method)
    step.write_scalars("DP3_SAS_DELTA_NU_AV", scalar(fit.delta_nu), method=method)
    publish_background(step, spectrum, fit)
    small = small_separation(
        spectrum, fit.background, fit.nu_max.value, fit.delta_nu.value, np.random.default_rng(step.seed)
    )
    if small is None:
        logger.info("delta nu_02: the ridges of degree 0 and 2 cannot be told apart, not published")
    else:
        logger.info(
            "delta nu_02: %.2f +- %.2f uHz, significance %.1f", small.value, small.uncertainty, small.significance
        )
        step.write_scalars(
            "IDP_SAS_DELTA_NU_02", Scalar(small.value, "uHz", small.uncertainty),
            extension=True, method="fit to the collapsed echelle diagram", significance=small.significance,
        )  # fmt: skip
    step.write_facts(
        {
            "osc_detection_flag": True,
            "peakbagging_flag": outcome.excess is not None
            and outcome.excess.ratio >= step.number("peakbagging_snr_min"),
            "nu_max": fit.nu_max.value,
            "delta_nu": fit.delta_nu.value,
            "delta_nu_02": None if small is None else small.value,
        }
    )


def publish_background(step: Step, spectrum: RebinnedSpectrum, fit: GlobalFit) -> None:
    """The background that pySYD chose: its components, and its value at the frequencies that were fitted."""
    ident = "IDP_SAS_BACKGROUND_FIT"
    content: dict[str, Column] = {
        "frequency": Column(spectrum.frequency, "uHz"),
        "background": Column(fit.background, "ppm^2/uHz"),
        "white_noise": Column(fit.white_noise, "ppm^2/uHz"),
    }
    if fit.harvey_tau_s:
        content["harvey_tau"] = Column(np.array(fit.harvey_tau_s), "s")
        content["harvey_sigma"] = Column(np.array(fit.harvey_sigma_ppm), "ppm")
    write_product(step.output(f"{ident}.h5"), ident, content, step.attributes({"method": "pySYD 6.10.5"}))


def scalar(estimate: Estimate) -> Scalar:
    """As a product, in uHz."""
    return Scalar(estimate.value, "uHz", estimate.uncertainty)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format=f"{NAME}: %(message)s", stream=sys.stdout, force=True)
    sys.exit(run(main, module=NAME, version=VERSION))
