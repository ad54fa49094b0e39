"""Surface gravity from nu_max, and the choice between the gravities at hand.

nu_max scales as g / sqrt(Teff) (Brown et al. 1991; Kjeldsen & Bedding 1995).
"""

from dataclasses import dataclass
from math import hypot, log, log10

from astropy import constants
from astropy import units as u

NU_MAX_SUN = 3090.0 * u.uHz
E_NU_MAX_SUN = 30.0 * u.uHz
"""Huber et al. 2011, ApJ 743, 143."""
TEFF_SUN = 5772.0 * u.K
"""IAU 2015 resolution B3."""
RELATION_SCATTER = 0.01
"""dex; an allowance for the relation itself, added to what the inputs bring."""


@dataclass(frozen=True)
class Gravity:
    """log g (dex, g in cm/s2), its 1-sigma uncertainty, and what it is from."""

    value: float
    uncertainty: float | None
    source: str


def solar_gravity() -> u.Quantity:
    """GM / R^2 of the nominal Sun, in cm/s2."""
    return (constants.GM_sun / constants.R_sun**2).to(u.cm / u.s**2)


def seismic_gravity(
    nu_max: u.Quantity, e_nu_max: u.Quantity | None, teff: u.Quantity, e_teff: u.Quantity | None
) -> Gravity:
    """log g = log g_sun + log(nu_max / nu_max_sun) + log(Teff / Teff_sun) / 2; an unknown uncertainty counts as 0."""
    ratio = (nu_max / NU_MAX_SUN).to_value(u.one) * (teff / TEFF_SUN).to_value(u.one) ** 0.5
    relative = [(E_NU_MAX_SUN / NU_MAX_SUN).to_value(u.one)]
    if e_nu_max is not None:
        relative.append((e_nu_max / nu_max).to_value(u.one))
    if e_teff is not None:
        relative.append(0.5 * (e_teff / teff).to_value(u.one))
    log_g = log10(ratio * solar_gravity().value)
    return Gravity(log_g, hypot(RELATION_SCATTER, *(part / log(10.0) for part in relative)), "seismic")


def select_gravity(seismic: Gravity | None, flicker: Gravity | None) -> Gravity | None:
    """The seismic one, which is ten times as precise, else the one from flicker, else None."""
    return seismic or flicker
