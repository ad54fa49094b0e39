"""The choice between candidate values of one quantity."""

from dataclasses import dataclass

from sas_products import Scalar


@dataclass(frozen=True)
class Quantity:
    """A DP5 quantity: the candidates' identifiers, best first, the unit, and the range that a star can have."""

    name: str
    candidates: tuple[str, ...]
    unit: str
    low: float
    high: float


QUANTITIES = (
    Quantity("MASS", ("IDP_SAS_MASS_SCALING_ONLY",), "Msun", 0.1, 10.0),
    Quantity("RADIUS", ("IDP_SAS_RADIUS_SCALING_ONLY",), "Rsun", 0.1, 100.0),
    # 13.787 +- 0.020 Gyr: the age of the Universe (Planck Collaboration 2020, A&A 641, A6).
    Quantity("AGE", ("IDP_SAS_AGE_SCALING_ONLY",), "Gyr", 0.0, 13.8),
)


@dataclass(frozen=True)
class Selection:
    """What becomes of a quantity: the value and its source, or None, and the reason in one sentence."""

    scalar: Scalar | None
    source: str
    reason: str


def select(quantity: Quantity, candidates: dict[str, Scalar], max_relative_uncertainty: float) -> Selection:
    """The first candidate, in the quantity's order, that passes the checks."""
    present = [ident for ident in quantity.candidates if ident in candidates]
    if not present:
        return Selection(None, "", f"nothing to select from: {', '.join(quantity.candidates)} absent")
    rejected: list[str] = []
    for ident in present:
        fault = check(quantity, candidates[ident], max_relative_uncertainty)
        if fault is None:
            return Selection(candidates[ident], ident, f"{ident} passed the checks")
        rejected.append(f"{ident}: {fault}")
    return Selection(None, "", "; ".join(rejected))


def check(quantity: Quantity, scalar: Scalar, max_relative_uncertainty: float) -> str | None:
    """Why a value cannot be published, or None. A value may lie outside the range by its own uncertainty."""
    if scalar.unit != quantity.unit:
        return f"unit {scalar.unit!r}, expected {quantity.unit!r}"
    if scalar.uncertainty is None:
        return "no uncertainty"
    if scalar.value <= 0:
        return f"{scalar.value:.4g} {scalar.unit} is not positive"
    margin = scalar.uncertainty
    if not quantity.low - margin <= scalar.value <= quantity.high + margin:
        return f"{scalar.value:.4g} {scalar.unit} lies outside {quantity.low:g} to {quantity.high:g}"
    relative = scalar.uncertainty / scalar.value
    if relative > max_relative_uncertainty:
        return f"relative uncertainty {relative:.2f} is above {max_relative_uncertainty:g}"
    return None
