"""The global fit with pySYD (Chontos et al. 2022, JOSS 7, 3331): background, nu_max, Delta nu and uncertainties."""

import logging
from dataclasses import dataclass

import numpy as np
from pysyd import models, utils
from pysyd.target import Target

from msap3_03.global_fit import Estimate, FitFailed, GlobalFit
from msap3_03.spectrum import RebinnedSpectrum

logger = logging.getLogger(__name__)

STAR = "star"
MAX_FAILED_SHARE = 0.5
"""Samples that pySYD may fail to fit, as a share of those wanted, before the sampling is called off."""
FIT_ERRORS = (utils.ProcessingError, TypeError, IndexError, ValueError, RuntimeError, FloatingPointError)
"""What pySYD 6.10.5 raises without a peak to fit; the first is its own, the others escape from numpy and scipy."""


class _SpectrumTarget(Target):  # type: ignore[misc]
    """A pySYD target whose spectrum is given in memory instead of read from text files.

    pySYD's sampling multiplies the spectrum by chi-squared noise with two degrees of freedom. That is the noise of a
    critically sampled spectrum; a mean of `averaged` frequencies has 2 x `averaged` of them.
    """

    def __init__(self, spectrum: RebinnedSpectrum, parameters: utils.Parameters) -> None:
        super().__init__(STAR, parameters)
        self.averaged = spectrum.averaged
        self.lc, self.ps, self.nyquist = False, True, None
        self.baseline = 1e6 / spectrum.step
        self.tau_upper = self.baseline / 2.0
        self.params.update({"data": {}, "plotting": {}, "results": {}, "oversampling_factor": 1})
        self.freq_os, self.pow_os = spectrum.frequency.copy(), spectrum.psd.copy()
        self.freq_cs, self.pow_cs = self.freq_os.copy(), self.pow_os.copy()

    def single_step(self) -> bool:
        """Fit one realisation of the noise. True when every fit converged."""
        self.converge = True
        freedom = 2 * self.averaged
        self.random_pow = np.random.chisquare(freedom, self.frequency.size) * self.power / freedom
        self.estimate_background()
        self.get_background()
        if self.converge:
            self.global_fit()
        return bool(self.converge)


def fit_spectrum(spectrum: RebinnedSpectrum, nu_max: float, n_samples: int, seed: int) -> GlobalFit:
    """Fit around a first guess of nu_max (uHz). Raises `FitFailed` when pySYD finds no solution."""
    parameters = utils.Parameters()
    parameters.params.update({"save": False, "cli": False, "verbose": False, "estimate": False})
    parameters.add_targets(stars=[STAR])
    star = _SpectrumTarget(spectrum, parameters)
    star.params.update({"numax": nu_max, "dnu": utils.delta_nu(nu_max), "seed": seed, "mc_iter": n_samples})
    try:
        star.check_numax()
        star.initial_parameters()
        star.first_step()
        background = models.background(spectrum.frequency, star.params["pars"], noise=star.params["noise"])
        found = _Found.of(star)
    except FIT_ERRORS as error:
        raise FitFailed(f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}") from error
    samples = _sample(star, n_samples, seed)
    return GlobalFit(
        nu_max=Estimate(found.nu_max, _spread(samples, "nu_max")),
        delta_nu=Estimate(found.delta_nu, _spread(samples, "delta_nu")),
        background=np.asarray(background, dtype=np.float64),
        harvey_tau_s=found.tau_s,
        harvey_sigma_ppm=found.sigma_ppm,
        white_noise=found.white_noise,
        samples=1 + len(samples),
    )


@dataclass(frozen=True)
class _Found:
    """What the first fit left in pySYD's result lists."""

    nu_max: float
    delta_nu: float
    tau_s: list[float]
    sigma_ppm: list[float]
    white_noise: float

    @classmethod
    def of(cls, star: Target) -> "_Found":
        results, pars = star.params["results"]["parameters"], list(star.params["pars"])
        fixed_white = len(pars) % 2 == 0
        harvey = pars if fixed_white else pars[:-1]
        return cls(
            nu_max=float(results["numax_smooth"][0]),
            delta_nu=float(results["dnu"][0]),
            # pySYD works with tau in 1/uHz.
            tau_s=[1e6 * float(tau) for tau in harvey[0::2]],
            sigma_ppm=[float(sigma) for sigma in harvey[1::2]],
            white_noise=float(star.params["noise"] if fixed_white else pars[-1]),
        )


def _sample(star: _SpectrumTarget, n_samples: int, seed: int) -> list[dict[str, float]]:
    """Refit realisations of the noise. Unlike pySYD's own loop it ends when the fits keep failing."""
    np.random.seed(seed % 2**32)
    samples: list[dict[str, float]] = []
    results = star.params["results"]["parameters"]
    failed = 0
    star.i = 1  # Nonzero: pySYD keeps the model and the autocorrelation peak of its first fit.
    while len(samples) < n_samples - 1:
        for values in results.values():
            values.clear()
        # The nu_max of the first fit stays the reference, as in pySYD's own loop.
        results["numax_smooth"].append(star.params["numax_smoo"])
        try:
            converged = star.single_step()
        except FIT_ERRORS as error:
            logger.debug("sample failed: %s", error)
            converged = False
        if converged:
            samples.append({"nu_max": results["numax_smooth"][-1], "delta_nu": results["dnu"][-1]})
        else:
            failed += 1
            if failed > MAX_FAILED_SHARE * n_samples:
                logger.warning("%d samples failed to fit, %d fitted: sampling called off", failed, len(samples))
                break
    return samples


def _spread(samples: list[dict[str, float]], name: str) -> float | None:
    if len(samples) < 10:
        return None
    values = np.array([sample[name] for sample in samples])
    return float(1.4826 * np.median(np.abs(values - np.median(values))))
