"""``PFU_STAR_DATA``: the star's classical parameters, known before the SAS looks at it.

A JSON object: ``teff_k``, ``feh``, ``logg``, ``radius_rsun``, their 1-sigma uncertainties with the prefix
``e_``, ``magnitude`` and ``source``. Every value may be null or absent.
"""

import json
from dataclasses import asdict, dataclass, fields
from math import isfinite
from pathlib import Path

from sas_products.errors import InputError

IDENT = "PFU_STAR_DATA"
_POSITIVE = ("teff_k", "radius_rsun")


@dataclass(frozen=True)
class StarData:
    """Classical parameters: effective temperature (K), [Fe/H] (dex), log g (cgs, dex), radius (solar)."""

    teff_k: float | None = None
    e_teff_k: float | None = None
    feh: float | None = None
    e_feh: float | None = None
    logg: float | None = None
    e_logg: float | None = None
    radius_rsun: float | None = None
    e_radius_rsun: float | None = None
    magnitude: float | None = None
    source: str = ""


def read_star_data(path: Path) -> StarData:
    """Read the file. Raises `InputError` naming the field."""
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{IDENT}: no such file: {path}") from None
    except ValueError as error:
        raise InputError(f"{IDENT}: not a readable JSON file: {error}") from error
    if not isinstance(document, dict):
        raise InputError(f"{IDENT}: expected a JSON object")
    known = {field.name for field in fields(StarData)}
    unknown = sorted(set(document) - known)
    if unknown:
        raise InputError(f"{IDENT}: unknown field {unknown[0]!r} (known: {', '.join(sorted(known))})")
    source = document.pop("source", "") or ""
    if not isinstance(source, str):
        raise InputError(f"{IDENT}: source: expected a string")
    return StarData(**{name: _number(name, value) for name, value in document.items()}, source=source)


def write_star_data(path: Path, star: StarData) -> None:
    """Write the file; unknown values are null."""
    path.write_text(json.dumps(asdict(star), indent=1) + "\n")


def _number(name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise InputError(f"{IDENT}: {name}: expected a finite number or null, found {value!r}")
    if name.startswith("e_") and value < 0:
        raise InputError(f"{IDENT}: {name}: negative uncertainty {value!r}")
    if name in _POSITIVE and value <= 0:
        raise InputError(f"{IDENT}: {name}: expected a positive number, found {value!r}")
    return float(value)
