"""The period that was chosen, how sure it is, and its publication as a DP4 product."""

import logging
from dataclasses import dataclass
from pathlib import Path

from msap4_03 import NAME
from sas_products import Column, InputError, Scalar, Step, open_product
from sas_products.scalar import scalar_in

logger = logging.getLogger(NAME)


@dataclass(frozen=True)
class Period:
    """A rotation period in days, ROOSTER's score for it (0 to 1), and the longest one that was searched."""

    value: float
    uncertainty: float | None
    score: float
    method: str
    longest: float

    def detected(self, score_min: float) -> bool:
        """Whether it may be published."""
        return self.score >= score_min and self.searched

    @property
    def searched(self) -> bool:
        """Whether it lies in the range that was searched."""
        return 0 < self.value <= self.longest

    def columns(self) -> dict[str, Column]:
        """The datasets that hold it."""
        own = {} if self.uncertainty is None else {"uncertainty": Column(self.uncertainty, "d")}
        longest = Column(self.longest, "d")
        return {"score": Column(self.score), "value": Column(self.value, "d"), **own, "longest_period": longest}


def read_period(path: Path, ident: str) -> Period:
    """The period in a product of `write_candidates`. Raises `InputError`."""
    with open_product(path, ident) as group:
        scalar = scalar_in(group)
        if scalar.unit != "d":
            raise InputError(f"{group.where}/value: expected the unit d, found {scalar.unit!r}")
        method = str(group.attribute("method") or "")
        return Period(scalar.value, scalar.uncertainty, group.number("score"), method, group.number("longest_period"))


def publish(step: Step, period: Period, activity: Scalar | None, detected: bool) -> None:
    """Write the DP4 products of a period that was detected, and the facts in any case."""
    logger.info("period %.3f d, score %.2f: %s", period.value, period.score, "published" if detected else "withheld")
    if not detected:
        step.write_facts({"prot_detected": False, "sph_detected": False, "prot_score": period.score})
        return
    method = f"star-privateer 1.3.1, ROOSTER's choice: {period.method}"
    scalar = Scalar(period.value, "d", period.uncertainty)
    step.write_scalars("DP4_SAS_PROT", scalar, method=method, score=period.score)
    if activity is not None:
        step.write_scalars("DP4_SAS_SPH", activity, method=method, score=period.score)
    step.write_facts(
        {
            "prot_detected": True,
            "sph_detected": activity is not None,
            "prot": period.value,
            "prot_score": period.score,
            "sph": None if activity is None else activity.value,
        }
    )
