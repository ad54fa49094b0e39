"""Where the oscillations of a star are expected: nu_max from its classical parameters.

nu_max scales as g / sqrt(Teff) (Brown et al. 1991; Kjeldsen & Bedding 1995). Solar references: nu_max 3090 uHz (Huber
et al. 2011, ApJ 743, 143), Teff 5772 K (IAU 2015 resolution B3), log g 4.438 (from the IAU's nominal GM and R).
"""

from dataclasses import dataclass
from math import exp, hypot, log, sqrt

from sas_products import InputError, StarData

NU_MAX_SUN = 3090.0
TEFF_SUN = 5772.0
LOGG_SUN = 4.438

RELATION_SCATTER = 0.05
"""Relative scatter of the relation, added to the uncertainty of the inputs."""
DEFAULT_E_LOGG = 0.15
"""dex; for a log g without an uncertainty (a photometric one, as in the Kepler Input Catalog's revisions)."""
DEFAULT_E_TEFF = 150.0
ASSUMED_MASS, ASSUMED_E_MASS = 1.0, 0.25
"""Solar masses; with a radius and no log g. The 3-sigma range covers the F5 to K7 dwarfs of PLATO's samples."""
DEFAULT_E_RADIUS = 0.05
"""Relative; for a radius without an uncertainty."""


@dataclass(frozen=True)
class NuMaxPrior:
    """Expected nu_max (uHz), its relative 1-sigma uncertainty and what it was made from."""

    value: float
    relative_sigma: float
    source: str

    def interval(self, n_sigma: float) -> tuple[float, float]:
        """Bounds (uHz) at `n_sigma`, log-normal, as the uncertainty of log g is."""
        factor = exp(n_sigma * self.relative_sigma)
        return self.value / factor, self.value * factor


def nu_max_prior(star: StarData) -> NuMaxPrior:
    """The tighter one of the priors from log g and from the radius. Raises `InputError` when neither can be made."""
    if star.teff_k is None:
        raise InputError("PFU_STAR_DATA: teff_k: needed to predict nu_max, and absent")
    teff = star.teff_k
    e_teff = 0.5 * (DEFAULT_E_TEFF if star.e_teff_k is None else star.e_teff_k) / teff
    candidates: list[NuMaxPrior] = []
    if star.logg is not None:
        sigma = log(10.0) * (DEFAULT_E_LOGG if star.e_logg is None else star.e_logg)
        gravity = 10.0 ** (star.logg - LOGG_SUN)
        candidates.append(_prior(gravity, sigma, teff, e_teff, "logg, teff_k"))
    if star.radius_rsun is not None:
        radius = star.radius_rsun
        e_radius = DEFAULT_E_RADIUS if star.e_radius_rsun is None else star.e_radius_rsun / radius
        sigma = hypot(ASSUMED_E_MASS / ASSUMED_MASS, 2.0 * e_radius)
        candidates.append(_prior(ASSUMED_MASS / radius**2, sigma, teff, e_teff, "radius_rsun, teff_k"))
    if not candidates:
        raise InputError("PFU_STAR_DATA: logg or radius_rsun: one is needed to predict nu_max, and both are absent")
    return min(candidates, key=lambda prior: prior.relative_sigma)


def _prior(gravity: float, sigma: float, teff: float, e_teff: float, source: str) -> NuMaxPrior:
    value = NU_MAX_SUN * gravity / sqrt(teff / TEFF_SUN)
    return NuMaxPrior(value, sqrt(sigma**2 + e_teff**2 + RELATION_SCATTER**2), source)


def expected_delta_nu(nu_max: float) -> float:
    """Large separation (uHz) expected at `nu_max` (uHz): 0.22 nu_max^0.797 (Huber et al. 2011), as pySYD uses it."""
    return float(0.22 * nu_max**0.797)


def envelope_width(nu_max: float) -> float:
    """Full width at half maximum (uHz) of the oscillation envelope: 0.66 nu_max^0.88 (Mosser et al. 2012)."""
    return float(0.66 * nu_max**0.88)


def nu_max_from_delta_nu(delta_nu: float) -> float:
    """nu_max (uHz) at which `delta_nu` (uHz) is the expected separation."""
    return float((delta_nu / 0.22) ** (1.0 / 0.797))
