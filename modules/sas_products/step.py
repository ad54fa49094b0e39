"""What a module knows about its run, and the wrapper around its main function."""

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

from sas_products.errors import InputError, ModuleFailure, ParameterError
from sas_products.product import AttributeValue
from sas_products.scalar import Scalar, read_scalar, write_scalars
from sas_products.series import Series, read_dp1, read_series, write_series
from sas_products.spectrum import Spectrum, read_spectrum, write_spectrum
from sas_products.star_data import IDENT as STAR_DATA
from sas_products.star_data import StarData, read_star_data

FactValue = bool | int | float | str
MAX_FACT_STRING = 128


@dataclass(frozen=True)
class Step:
    """One run of a module for one star. `root` is /sas; in tests the environment's SAS_ROOT moves it."""

    module: str
    version: str
    star: str
    campaign: str
    step: str
    seed: int
    root: Path
    params: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def from_environment(cls, module: str, version: str) -> "Step":
        """Read SAS_STAR, SAS_CAMPAIGN, SAS_STEP, SAS_SEED and ``params.json``. Raises `ParameterError`."""
        names = ("SAS_STAR", "SAS_CAMPAIGN", "SAS_STEP", "SAS_SEED")
        missing = [name for name in names if not os.environ.get(name)]
        if missing:
            raise ParameterError(f"environment: {', '.join(missing)} not set")
        star, campaign, step, seed = (os.environ[name] for name in names)
        if not seed.isdecimal():
            raise ParameterError(f"environment: SAS_SEED: expected a decimal integer, found {seed!r}")
        root = Path(os.environ.get("SAS_ROOT", "/sas"))
        return cls(module, version, star, campaign, step, int(seed), root, _read_params(root / "params.json"))

    def input(self, name: str) -> Path | None:
        """The file of an input, or None when an optional input is absent."""
        path = self.root / "in" / name
        return path if path.is_file() else None

    def require(self, name: str) -> Path:
        """The file of an input that must be there. Raises `InputError`."""
        path = self.input(name)
        if path is None:
            raise InputError(f"{name}: input file is missing ({self.root / 'in' / name})")
        return path

    def read_dp1(self) -> Series:
        """The Level-1 light curve."""
        return read_dp1(self.require("DP1_LC_MERGED"))

    def read_series(self, ident: str) -> Series:
        """A light curve of the SAS."""
        return read_series(self.require(ident), ident)

    def read_spectrum(self, ident: str) -> Spectrum:
        """A power spectral density."""
        return read_spectrum(self.require(ident), ident)

    def read_scalar(self, ident: str, name: str | None = None) -> Scalar:
        """A value, or the one called `name` of a product with several."""
        return read_scalar(self.require(ident), ident, name)

    def read_star_data(self) -> StarData:
        """The star's classical parameters (``PFU_STAR_DATA``)."""
        return read_star_data(self.require(STAR_DATA))

    def number(self, name: str) -> float:
        """A parameter of type number or integer. Raises `ParameterError`."""
        value = self._param(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise ParameterError(f"params.json: {name}: expected a finite number, found {value!r}")
        return float(value)

    def integer(self, name: str) -> int:
        """A parameter of type integer. Raises `ParameterError`."""
        value = self._param(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ParameterError(f"params.json: {name}: expected an integer, found {value!r}")
        return value

    def boolean(self, name: str) -> bool:
        """A parameter of type boolean. Raises `ParameterError`."""
        value = self._param(name)
        if not isinstance(value, bool):
            raise ParameterError(f"params.json: {name}: expected true or false, found {value!r}")
        return value

    def string(self, name: str) -> str:
        """A parameter of type string. Raises `ParameterError`."""
        value = self._param(name)
        if not isinstance(value, str):
            raise ParameterError(f"params.json: {name}: expected a string, found {value!r}")
        return value

    def _param(self, name: str) -> object:
        if name not in self.params:
            raise ParameterError(f"params.json: {name}: missing")
        return self.params[name]

    def output(self, file_name: str) -> Path:
        """Where an output file goes."""
        return self.root / "out" / file_name

    def write_series(self, ident: str, series: Series, **attributes: AttributeValue) -> None:
        """Write ``<ident>.h5``: a light curve in ppm."""
        write_series(self.output(f"{ident}.h5"), ident, series, self.attributes(attributes))

    def write_spectrum(self, ident: str, spectrum: Spectrum, **attributes: AttributeValue) -> None:
        """Write ``<ident>.h5``: a power spectral density."""
        write_spectrum(self.output(f"{ident}.h5"), ident, spectrum, self.attributes(attributes))

    def write_scalars(self, ident: str, scalars: Scalar | Mapping[str, Scalar], **attributes: AttributeValue) -> None:
        """Write ``<ident>.h5``: one value, or several by name."""
        write_scalars(self.output(f"{ident}.h5"), ident, scalars, self.attributes(attributes))

    def attributes(self, more: Mapping[str, AttributeValue] | None = None) -> dict[str, AttributeValue]:
        """The attributes that every product carries, with `more`; for use with `write_product`."""
        return {
            "SAS_STAR": self.star,
            "SAS_CAMPAIGN": self.campaign,
            "SAS_STEP": self.step,
            "module": self.module,
            "version": self.version,
            **(more or {}),
        }

    def write_facts(self, facts: Mapping[str, FactValue | None]) -> None:
        """Write ``facts.json``; None means unknown and is left out.

        Raises `ValueError` on what the contract forbids.
        """
        known = {name: value for name, value in facts.items() if value is not None}
        for name, value in known.items():
            if not isinstance(value, bool | int | float | str):
                raise ValueError(f"fact {name}: {type(value).__name__} is not a boolean, number or string")
            if isinstance(value, float) and not isfinite(value):
                raise ValueError(f"fact {name}: not finite")
            if isinstance(value, str) and len(value) > MAX_FACT_STRING:
                raise ValueError(f"fact {name}: longer than {MAX_FACT_STRING} characters")
        self.output("facts.json").write_text(json.dumps(known) + "\n")


def run(main: Callable[[Step], None], *, module: str, version: str) -> int:
    """Run a module's main function and return its exit code.

    0 done; a `ModuleFailure` becomes one line on standard error and its own code (2 input, 3 science,
    4 parameters); anything else a traceback and 1.
    """
    try:
        main(Step.from_environment(module, version))
    except ModuleFailure as failure:
        print(f"{module}: error: {' '.join(str(failure).split())}", file=sys.stderr, flush=True)
        return failure.exit_code
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def _read_params(path: Path) -> dict[str, object]:
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ParameterError(f"params.json: no such file: {path}") from None
    except ValueError as error:
        raise ParameterError(f"params.json: not a readable JSON file: {error}") from error
    if not isinstance(document, dict):
        raise ParameterError("params.json: expected a JSON object")
    return document
