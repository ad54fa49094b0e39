"""Write a table as FITS and as ECSV, from packed rows block by block, so that memory stays bounded."""

import csv
import hashlib
import io
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.table import Column, Table
from astropy.units import Unit

from plato_sas.collector.rows import Field, Layout, is_missing
from plato_sas.collector.values import fits_unit

Meta = Mapping[str, Any]

_BLOCK = 4096  # rows
_READ = 1 << 20
# Metadata with a FITS keyword; the rest becomes comments.
_KEYWORDS = {
    "catalogue": "CATALOG", "campaign": "CAMPAIGN", "pipeline": "PIPELINE", "revision": "REVISION",
    "attempt": "ATTEMPT", "created": "DATE", "stars": "STARS", "leftOut": "LEFTOUT",
}  # fmt: skip
_ECSV_TYPES = {"boolean": "bool", "integer": "int64", "number": "float64", "string": "str"}


class Spool(NamedTuple):
    """The packed rows of a table, in a temporary file."""

    layout: Layout
    path: Path

    @property
    def rows(self) -> int:
        return self.path.stat().st_size // self.layout.dtype.itemsize

    def blocks(self) -> Iterator[npt.NDArray[np.void]]:
        with self.path.open("rb") as file:
            while content := file.read(_BLOCK * self.layout.dtype.itemsize):
                yield self.layout.unpacked(content)


def write_fits(spool: Spool, meta: Meta, path: Path) -> None:
    """Write one binary table after an empty primary HDU. Raises OSError."""
    header = _fits_header(spool, meta)
    with fits.StreamingHDU(path, header) as stream:
        for block in spool.blocks():
            stream.write(np.frombuffer(block.tobytes(), dtype=np.uint8))


def _fits_header(spool: Spool, meta: Meta) -> fits.Header:
    columns = [
        fits.Column(name=one.name, format=one.format.fits, unit=fits_unit(one.unit or "") or None, null=one.format.null)
        for one in spool.layout.fields
    ]
    header: fits.Header = fits.BinTableHDU.from_columns(columns, nrows=0, name=spool.layout.table.name).header
    header["NAXIS2"] = spool.rows
    for number, field in enumerate(spool.layout.fields, start=1):
        if field.description:
            header.set(f"TCOMM{number}", _ascii(field.description), after=f"TFORM{number}")
    for key, keyword in _KEYWORDS.items():
        header[keyword] = meta[key].removesuffix("Z") if keyword == "DATE" else meta[key]  # FITS times are UTC
    if spool.layout.table.description:
        header["COMMENT"] = _ascii(spool.layout.table.description)
    for step, makers in meta["modules"].items():
        for maker, count in makers.items():
            header["COMMENT"] = f"step {step}: {maker}: {count} stars"
    for name, version in meta["versions"].items():
        header["COMMENT"] = f"written with {name} {version}"
    header["COMMENT"] = "A boolean is 0 or 1, and 255 where it is missing."
    return header


def _ascii(text: str) -> str:
    """The text as FITS can hold it."""
    return "".join(one if one.isascii() and one.isprintable() else "?" for one in text)


def write_ecsv(spool: Spool, meta: Meta, path: Path, said: Callable[[int], None]) -> None:
    """Write enhanced character-separated values (astropy's APE 6); `said` gets the rows so far. Raises OSError."""
    with path.open("x", encoding="utf-8", newline="") as file:
        file.write(_ecsv_header(spool.layout, meta))
        writer = csv.writer(file, lineterminator="\n")
        written = 0
        for block in spool.blocks():
            writer.writerows(zip(*(_texts(field, block[field.name]) for field in spool.layout.fields), strict=True))
            written += len(block)
            said(written)


def _ecsv_header(layout: Layout, meta: Meta) -> str:
    columns = [
        Column(
            name=one.name,
            dtype=_ECSV_TYPES[one.type],
            unit=Unit(fits_unit(one.unit), parse_strict="silent") if one.unit else None,
            description=one.description or None,
        )
        for one in layout.fields
    ]
    about = {"table": layout.table.name, "description": layout.table.description, **meta}
    text = io.StringIO()
    Table(columns, meta={key: value for key, value in about.items() if value is not None}).write(
        text, format="ascii.ecsv", delimiter=","
    )
    return text.getvalue()


def _texts(field: Field, column: npt.NDArray[Any]) -> list[str]:
    """A column's values as text, empty where they are missing."""
    match field.type:
        case "string":
            return [one.decode("ascii") for one in column.tolist()]
        case "boolean":
            texts = ["True" if one else "False" for one in column.tolist()]
        case "integer":
            texts = [str(one) for one in column.tolist()]
        case _:
            texts = [repr(one) for one in column.tolist()]
    missing = is_missing(field, column).tolist()
    return ["" if lacks else text for text, lacks in zip(texts, missing, strict=True)]


def sealed(path: Path) -> str:
    """Make a file read-only and bring it to the disk; returns its hex SHA-256. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        os.fchmod(file.fileno(), 0o444)
        while block := file.read(_READ):
            digest.update(block)
        os.fsync(file.fileno())
    return digest.hexdigest()
