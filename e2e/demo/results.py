"""Measured values, read from the product tree, beside published ones."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import yaml

_REFERENCES = Path(__file__).with_name("references.yaml")


@dataclass(frozen=True)
class Quantity:
    """One column of the results: which product of which step holds it."""

    key: str
    label: str
    unit: str
    step: str
    product: str


QUANTITIES = (
    Quantity("nu_max", "nu_max", "uHz", "msap3-03", "DP3_SAS_NU_MAX"),
    Quantity("delta_nu", "Delta nu", "uHz", "msap3-03", "DP3_SAS_DELTA_NU_AV"),
    Quantity("prot", "P_rot", "d", "msap4-03", "DP4_SAS_PROT"),
    Quantity("mass", "mass", "Msun", "msap5-34", "DP5_SAS_MASS"),
    Quantity("radius", "radius", "Rsun", "msap5-34", "DP5_SAS_RADIUS"),
    Quantity("age", "age", "Gyr", "msap5-34", "DP5_SAS_AGE"),
)


@dataclass(frozen=True)
class Measured:
    """A published product's value and its 1-sigma uncertainty, where it has one."""

    value: float
    uncertainty: float | None


@dataclass(frozen=True)
class Reference:
    """A value from the literature, or the simulation's truth."""

    value: float
    uncertainty: float | None
    source: str


@dataclass(frozen=True)
class Row:
    """One quantity of one star."""

    star: str
    quantity: Quantity
    measured: Measured | None
    reference: Reference | None

    @property
    def difference(self) -> float | None:
        """Relative to the reference."""
        if self.measured is None or self.reference is None:
            return None
        return self.measured.value / self.reference.value - 1


def rows(products: Path, inputs: Path, stars: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """Everything that was measured or is known of the stars, given their statuses.

    `products` is the campaign's folder. A product counts as measured only if the star's status says that this very
    product was published: an earlier run may have left others.
    """
    found = []
    for star, status in stars.items():
        references = references_of(star, inputs)
        digests = {step["name"]: step.get("digest") for step in status.get("steps", [])}
        for quantity in QUANTITIES:
            folder = products / star / quantity.step
            measured = read_measured(folder, quantity.product) if _is_of(folder, digests.get(quantity.step)) else None
            reference = references.get(quantity.key)
            if measured is not None or reference is not None:
                found.append(Row(star, quantity, measured, reference))
    return found


def _is_of(folder: Path, digest: str | None) -> bool:
    manifest = folder / "manifest.json"
    return digest is not None and manifest.is_file() and json.loads(manifest.read_text())["digest"] == digest


def read_measured(folder: Path, product: str) -> Measured | None:
    """A scalar product of a published step; None if it was not published."""
    path = folder / f"{product}.h5"
    if not path.is_file():
        return None
    with h5py.File(path) as file:
        group = file[f"PRODUCTS/{product}"]
        value = float(group["value"][()])
        if "uncertainty" in group:
            return Measured(value, float(group["uncertainty"][()]))
        if "lower" in group and "upper" in group:
            return Measured(value, (float(group["upper"][()]) - float(group["lower"][()])) / 2)
        return Measured(value, None)


def references_of(star: str, inputs: Path) -> Mapping[str, Reference]:
    """What is known of a star: from the literature, or from the simulation that made it."""
    known = dict(yaml.safe_load(_REFERENCES.read_text()).get(star, {}))
    truth = inputs / star / "TRUTH.json"
    if truth.is_file():
        content = json.loads(truth.read_text())
        known |= {key: {"value": content[name], "source": "truth of the simulation"} for key, name in _TRUTH.items()}
    return {key: Reference(one["value"], one.get("uncertainty"), one["source"]) for key, one in known.items()}


_TRUTH = {
    "nu_max": "nu_max_uhz",
    "delta_nu": "delta_nu_uhz",
    "prot": "rotation_period_d",
    "mass": "mass_msun",
    "radius": "radius_rsun",
}


def table(found: Iterable[Row]) -> str:
    """The rows as text."""
    header = ("STAR", "QUANTITY", "UNIT", "MEASURED", "PUBLISHED", "DIFFERENCE", "SOURCE")
    lines = [header]
    for row in found:
        difference = row.difference
        lines.append(
            (
                row.star,
                row.quantity.label,
                row.quantity.unit,
                _number(row.measured),
                _number(row.reference),
                f"{difference:+.1%}" if difference is not None else "-",
                row.reference.source if row.reference else "",
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _number(value: Measured | Reference | None) -> str:
    if value is None:
        return "-"
    return f"{value.value:.4g}" + (f" +- {value.uncertainty:.2g}" if value.uncertainty else "")
