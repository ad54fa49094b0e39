"""Scaling relations: a quantity in units of the Sun's is a product of powers of measured ones in units of the Sun's.

CLASSICAL: Delta nu scales as the root of the mean density, nu_max as g / sqrt(Teff) (Kjeldsen & Bedding 1995), solved
for mass and radius. BELLINGER: exponents calibrated on main-sequence stars that models of individual frequencies gave
ages to (Bellinger 2019, MNRAS 486, 4612, arXiv:1903.03110, table 1 and appendix A); with the small separation
they give an age.

Solar values, as in that article: nu_max 3090 +- 30 and Delta nu 135.1 +- 0.1 uHz (Huber et al. 2011), delta
nu_02 8.957 +- 0.059 uHz, Teff 5772 +- 0.8 K (Prsa et al. 2016), age 4.569 +- 0.006 Gyr (Bonanno & Froehlich 2015).
"""

from dataclasses import dataclass
from typing import Literal

from uncertainties import UFloat, ufloat
from uncertainties.umath import exp

RelationName = Literal["classical", "bellinger2019"]


@dataclass(frozen=True)
class Observables:
    """nu_max, Delta nu, delta nu_02 (uHz), Teff (K), [Fe/H] (dex), each with its uncertainty."""

    nu_max: UFloat
    delta_nu: UFloat
    teff: UFloat
    small_separation: UFloat | None = None
    feh: UFloat | None = None


@dataclass(frozen=True)
class Relation:
    """Exponents of nu_max, Delta nu, delta nu_02, Teff and exp([Fe/H]); 0 where the relation does not use one."""

    nu_max: float
    delta_nu: float
    small_separation: float = 0.0
    teff: float = 0.0
    feh: float = 0.0

    def missing(self, star: Observables) -> list[str]:
        """Names of the observables that the relation uses and the star lacks."""
        absent = []
        if self.small_separation and star.small_separation is None:
            absent.append("small_separation")
        if self.feh and star.feh is None:
            absent.append("feh")
        return absent

    def evaluate(self, star: Observables) -> UFloat:
        """The quantity in solar units. Raises `ValueError` naming what is missing."""
        if absent := self.missing(star):
            raise ValueError(f"the relation needs {', '.join(absent)}")
        value = (
            (star.nu_max / NU_MAX_SUN) ** self.nu_max
            * (star.delta_nu / DELTA_NU_SUN) ** self.delta_nu
            * (star.teff / TEFF_SUN) ** self.teff
        )
        if self.small_separation and star.small_separation is not None:
            value *= (star.small_separation / SMALL_SEPARATION_SUN) ** self.small_separation
        if self.feh and star.feh is not None:
            value *= exp(self.feh * star.feh)
        return value


NU_MAX_SUN = ufloat(3090.0, 30.0)
DELTA_NU_SUN = ufloat(135.1, 0.1)
SMALL_SEPARATION_SUN = ufloat(8.957, 0.059)
TEFF_SUN = ufloat(5772.0, 0.8)
AGE_SUN_GYR = ufloat(4.569, 0.006)

MASS: dict[RelationName, Relation] = {
    "classical": Relation(nu_max=3.0, delta_nu=-4.0, teff=1.5),
    "bellinger2019": Relation(nu_max=0.97531880, delta_nu=-1.43472745, teff=1.21647950, feh=0.27014278),
}
RADIUS: dict[RelationName, Relation] = {
    "classical": Relation(nu_max=1.0, delta_nu=-2.0, teff=0.5),
    "bellinger2019": Relation(nu_max=0.30490057, delta_nu=-1.12949647, teff=0.31236570, feh=0.10024562),
}
AGE = Relation(nu_max=-6.55598425, delta_nu=9.05883854, small_separation=-1.29229053, teff=-4.24528340, feh=-0.42594767)


def age_gyr(star: Observables) -> UFloat:
    """The age in Gyr. Raises `ValueError` naming what is missing."""
    return AGE.evaluate(star) * AGE_SUN_GYR
