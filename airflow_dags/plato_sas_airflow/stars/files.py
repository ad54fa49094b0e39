"""Files with the stars of a batch."""

import csv

from airflow.sdk import ObjectStoragePath

from plato_sas_airflow.errors import BatchError
from plato_sas_airflow.stars.star import Star, distinct

COLUMN = "star"
"""The column that is read if none is named and the header has it."""


def read_stars(path: str, column: str | None = None) -> list[Star]:
    """The stars of a file: a CSV with a header, or one name per line. Raises BatchError naming file and line.

    :param path: a local path, or a URL of a storage that Airflow knows (`s3://connection@bucket/stars.csv`).
    :param column: the column with the names; by default the one called `star`, or the first one without a header.

    Empty lines and lines that begin with `#` are ignored.
    """
    try:
        text = ObjectStoragePath(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError, ImportError) as error:
        raise BatchError(f"stars_file: {path}: {type(error).__name__}: {error}") from error
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    lines = [(number, line) for number, line in lines if not line.lstrip().startswith("#")]
    rows = [[cell.strip() for cell in row] for row in csv.reader(line for _, line in lines)]
    if len(rows) != len(lines):
        raise BatchError(f"stars_file: {path}: a quoted field runs over several lines")
    wanted, index = column or COLUMN, 0
    if rows and wanted in rows[0]:
        index = rows[0].index(wanted)
        rows, lines = rows[1:], lines[1:]
    elif column is not None:
        raise BatchError(f"stars_file: {path}: the first line has no column {column!r}")
    short = [number for (number, _), row in zip(lines, rows, strict=True) if len(row) <= index or not row[index]]
    if short:
        raise BatchError(f"stars_file: {path}: no star in line {', '.join(map(str, short[:10]))}")
    return distinct([Star(row[index]) for row in rows], f"stars_file: {path}: there is no star in it")
