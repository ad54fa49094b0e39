"""The result of the global fit, apart from the library that makes it."""

from dataclasses import dataclass, field

from sas_products import FloatArray


class FitFailed(Exception):
    """pySYD could not fit the spectrum."""


@dataclass(frozen=True)
class Estimate:
    """A fitted value, and the robust standard deviation of the Monte Carlo samples (None with too few samples)."""

    value: float
    uncertainty: float | None

    def __str__(self) -> str:
        return f"{self.value:.2f}" if self.uncertainty is None else f"{self.value:.2f} +- {self.uncertainty:.2f}"


@dataclass(frozen=True)
class GlobalFit:
    """`nu_max` and `delta_nu` in uHz, `background` in ppm^2/uHz at the spectrum's frequencies.

    nu_max is the peak of the smoothed, background-subtracted spectrum. (pySYD's other estimate, the
    centre of a Gaussian with a free offset, moved by 100 uHz with the first guess on KIC 6603624, this one by 8 uHz.)
    """

    nu_max: Estimate
    delta_nu: Estimate
    background: FloatArray
    harvey_tau_s: list[float] = field(default_factory=list)
    harvey_sigma_ppm: list[float] = field(default_factory=list)
    white_noise: float = 0.0
    samples: int = 1
