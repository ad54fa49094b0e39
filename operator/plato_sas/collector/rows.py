"""A table's rows as bytes: packed and big-endian, as in a FITS binary table (FITS 4.0, section 7.3)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from plato_sas.collector.order import PROVENANCE, TableOrder, provenance_column
from plato_sas.collector.tree import StepRead
from plato_sas.collector.values import MAX_STRING

_STAR_WIDTH = 48
_PROVENANCE_WIDTH = {"attempt": 63, "digest": 64, "key": 64}
_PROVENANCE_TEXT = {
    "attempt": "Attempt of step {} that published its products",
    "digest": "SHA-256 over the products of step {}",
    "key": "SHA-256 over image, parameters, seed and inputs of step {}",
}


class Format(NamedTuple):
    """How values of one type are stored, and which value means a missing one."""

    dtype: str
    fits: str  # TFORM
    missing: Any
    null: int | None = None  # TNULL


FORMATS = {
    # A FITS logical may be undefined, but common readers read that as false.
    "boolean": Format("u1", "B", 255, 255),
    "integer": Format(">i8", "K", -(2**63), -(2**63)),
    "number": Format(">f8", "D", np.nan),
    "string": Format(f"S{MAX_STRING}", f"{MAX_STRING}A", b""),
}


class Field(NamedTuple):
    """One column as it is written. `type`: as in the order."""

    name: str
    type: str
    format: Format
    unit: str | None
    description: str


class Layout:
    """The columns of a table: the star, the ordered columns, and each step's provenance."""

    def __init__(self, table: TableOrder) -> None:
        self.table = table
        self.steps = table.steps
        self.fields = [
            _text("star", _STAR_WIDTH, "Name of the star"),
            *(Field(one.name, one.type, FORMATS[one.type], one.unit, one.description or "") for one in table.columns),
            *(
                _text(provenance_column(step, what), _PROVENANCE_WIDTH[what], _PROVENANCE_TEXT[what].format(step))
                for step in self.steps
                for what in PROVENANCE
            ),
        ]
        self.dtype = np.dtype([(field.name, field.format.dtype) for field in self.fields])

    def row(self, star: str, steps: Mapping[str, StepRead]) -> tuple[Any, ...]:
        """One star's row; absent values are missing."""
        cells: list[Any] = [star]
        for column in self.table.columns:
            read = steps.get(column.step)
            value = read.values.get(column) if read is not None else None
            cells.append(FORMATS[column.type].missing if value is None else value)
        for step in self.steps:
            cells += steps[step].provenance if step in steps else [""] * len(PROVENANCE)
        return tuple(cells)

    def packed(self, rows: list[tuple[Any, ...]]) -> bytes:
        """Rows as bytes."""
        return np.array(rows, dtype=self.dtype).tobytes()

    def unpacked(self, content: bytes) -> npt.NDArray[np.void]:
        """Bytes as rows."""
        return np.frombuffer(content, dtype=self.dtype)


def is_missing(field: Field, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which of a field's values are missing."""
    missing: npt.NDArray[np.bool_] = np.isnan(values) if field.type == "number" else values == field.format.missing
    return missing


def _text(name: str, width: int, description: str) -> Field:
    return Field(name, "string", Format(f"S{width}", f"{width}A", b""), None, description)
