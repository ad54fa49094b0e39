"""Single measured values with their uncertainty."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from sas_products.errors import InputError
from sas_products.product import AttributeValue, Column, ProductGroup, open_product, write_product


@dataclass(frozen=True)
class Scalar:
    """A measured value and its unit.

    Either a symmetric `uncertainty` (1 sigma) or the bounds `lower` and `upper` of the 68 % interval, in the
    same unit; with neither, no uncertainty is known.
    """

    value: float
    unit: str
    uncertainty: float | None = None
    lower: float | None = None
    upper: float | None = None

    def columns(self) -> dict[str, Column]:
        """The datasets that hold it."""
        numbers = {
            "value": self.value,
            "uncertainty": self.uncertainty,
            "lower": self.lower,
            "upper": self.upper,
        }
        return {name: Column(number, self.unit) for name, number in numbers.items() if number is not None}


def read_scalar(path: Path, ident: str, name: str | None = None) -> Scalar:
    """Read the product's value, or the one called `name` of a product with several. Raises `InputError`."""
    with open_product(path, ident) as group:
        return scalar_in(group if name is None else group.subgroup(name))


def scalar_in(group: ProductGroup) -> Scalar:
    """The scalar that a group holds. Raises `InputError`."""
    optional = {name: group.number(name) if name in group else None for name in ("uncertainty", "lower", "upper")}
    scalar = Scalar(group.number("value"), group.unit("value"), **optional)
    for name, number in {"value": scalar.value, **optional}.items():
        if number is not None and not isfinite(number):
            raise InputError(f"{group.where}/{name}: not finite")
    if scalar.uncertainty is not None and scalar.uncertainty < 0:
        raise InputError(f"{group.where}/uncertainty: negative")
    return scalar


def write_scalars(
    path: Path, ident: str, scalars: Scalar | Mapping[str, Scalar], attributes: Mapping[str, AttributeValue]
) -> None:
    """Write one scalar, or several by name (a sub-group each)."""
    if isinstance(scalars, Scalar):
        write_product(path, ident, scalars.columns(), attributes)
    else:
        write_product(path, ident, {name: scalar.columns() for name, scalar in scalars.items()}, attributes)
