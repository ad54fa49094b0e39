"""The rows of a target list in CSV, VOTable, FITS or ECSV. Pure: bytes in, rows out.

The format is recognised by content rather than by file name, since objects of a store may lack an extension.
"""

import csv
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO, StringIO
from typing import Any

from plato_sas_airflow.mission.targets.errors import TargetListError

_FITS = b"SIMPLE  ="
_ECSV = b"# %ECSV"
_XML = (b"<?xml", b"<VOTABLE", b"<!--")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `number`: its line in a text file, else its row, from 1. `problem`: why it cannot be read, if so."""

    number: int
    values: tuple[object, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Table:
    """The requested columns of a list. `columns`: the names of those that the list has.

    `unit`: what the rows' numbers count: `line` or `row`. A missing value is None.
    """

    unit: str
    columns: tuple[str, ...]
    rows: Sequence[Row]


def read_table(content: bytes, name: str, required: str, optional: Sequence[str] = ()) -> Table:
    """Some columns of a list. Raises TargetListError naming the file.

    :param name: of the file, for messages.
    :param required: a column that the list must have.
    :param optional: columns that it may have.
    """
    begin = content[:4096].removeprefix(_BOM).lstrip()
    if begin.startswith(_FITS):
        return _with_astropy(content, "fits", "FITS", name, required, optional)
    if begin.startswith(_XML):
        return _with_astropy(content, "votable", "VOTable", name, required, optional)
    if begin.startswith(_ECSV):
        return _with_astropy(content, "ascii.ecsv", "ECSV", name, required, optional)
    return _csv(content, name, required, optional)


class _Lines:
    """The lines of a text, except empty ones and comments.

    `number`: the number of the last line returned; `returned`: how many were.
    """

    def __init__(self, text: str) -> None:
        self.number = 0
        self.returned = 0
        self._lines = StringIO(text, newline=None)

    def __iter__(self) -> Iterator[str]:
        for number, line in enumerate(self._lines, 1):
            self.number = number
            if line.strip() and not line.startswith("#"):
                self.returned += 1
                yield line


def _csv(content: bytes, name: str, required: str, optional: Sequence[str]) -> Table:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TargetListError(f"{name}: neither FITS, VOTable, ECSV nor UTF-8 text: {error}") from None
    lines = _Lines(text)
    records = _records(lines, name)
    _, header = next(records, (0, []))
    header = [cell.strip() for cell in header]
    columns = _columns(header, name, required, optional)
    places = [header.index(own) for own in columns.values()]
    rows = [_row(number, cells, places, len(header)) for number, cells in records]
    if rows and rows[-1].problem and not text.endswith(("\n", "\r")):
        raise TargetListError(f"{name}: line {rows[-1].number}: {rows[-1].problem}: the end of the list looks cut off")
    return Table("line", tuple(columns), rows)


def _records(lines: _Lines, name: str) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line. A stray quote would make one record of many lines: no star may vanish so."""
    reader = csv.reader(lines, skipinitialspace=True, strict=True)
    read, began = 0, 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            where = f"line {began}" if lines.returned == read + 1 else f"a quoted cell that begins in line {began}"
            raise TargetListError(f"{name}: {where}: {error}; is a quote missing, or one too many?") from None
        if cells is None:
            return
        read += 1
        if lines.returned != read:
            raise TargetListError(
                f"{name}: a quoted cell that begins in line {began} goes on to line {lines.number}; is a quote missing?"
            )
        yield lines.number, cells
        began = lines.number + 1


def _row(number: int, cells: list[str], places: list[int], width: int) -> Row:
    if len(cells) != width:
        return Row(number, problem=f"{len(cells)} cells, but the header has {width}")
    return Row(number, tuple(cells[place].strip() or None for place in places))


def _columns(header: Sequence[str], name: str, required: str, optional: Sequence[str]) -> dict[str, str]:
    """The requested columns, and their names in the list; case matters only if it distinguishes two columns."""
    found = {}
    for column in (required, *optional):
        alike = [own for own in header if own.lower() == column.lower()]
        same = [own for own in alike if own == column] or alike
        if len(same) > 1:
            raise TargetListError(f"{name}: the column {column!r} exists more than once")
        if same:
            found[column] = same[0]
    if required not in found:
        there = ", ".join(header[:20]) or "there is none"
        raise TargetListError(f"{name}: no column {required!r}; its columns: {there}")
    return found


def _with_astropy(content: bytes, form: str, label: str, name: str, required: str, optional: Sequence[str]) -> Table:
    try:
        from astropy.table import Table as AstropyTable
    except ImportError:
        raise TargetListError(f"{name}: {label} needs astropy, which is not installed") from None
    # Of several tables, the first one is the list.
    options: dict[str, Any] = {"votable": {"table_id": 0, "use_names_over_ids": True}}.get(form, {})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = AstropyTable.read(BytesIO(content), format=form, **options)
    except Exception as error:  # astropy's parsers raise many types for a damaged file
        raise TargetListError(f"{name}: not readable as {label}: {type(error).__name__}: {error}") from None
    columns = _columns(list(table.colnames), name, required, optional)
    wrong = [own for own in columns.values() if table[own].ndim != 1]
    if wrong:
        raise TargetListError(f"{name}: the column {wrong[0]!r} has more than one value in a row")
    values = [[_plain(value) for value in table[own].tolist()] for own in columns.values()]
    rows = [Row(number, cells) for number, cells in enumerate(zip(*values, strict=True), 1)]
    return Table("row", tuple(columns), rows)


def _plain(value: object) -> object:
    """The value as decoded and stripped text if it is one; None if it is missing."""
    if isinstance(value, bytes):
        value = value.decode("ascii", errors="replace")
    if isinstance(value, str):
        return value.strip() or None
    return None if value is None or value != value else value  # NaN is not equal to itself
