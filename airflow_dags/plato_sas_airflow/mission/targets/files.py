"""Target lists, batches and bad rows as files that Airflow's workers can reach."""

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Sequence

from airflow.sdk import ObjectStoragePath

from plato_sas_airflow.mission.targets.errors import TargetListError
from plato_sas_airflow.mission.targets.planning import PlannedBatch
from plato_sas_airflow.mission.targets.tables import Table, read_table
from plato_sas_airflow.mission.targets.validation import BadRow
from plato_sas_airflow.stars.files import COLUMN


def read_list(path: str, required: str, optional: Sequence[str] = ()) -> Table:
    """A target list; see `tables.read_table`. Raises TargetListError naming the file.

    :param path: a local path, or a URL of a storage that Airflow knows (`s3://connection@bucket/stars.fits`).
    """
    try:
        content = ObjectStoragePath(path).read_bytes()
    except (OSError, ValueError, ImportError) as error:
        raise TargetListError(f"target list {path}: {type(error).__name__}: {error}") from error
    return read_table(content, path, required, optional)


def run_folder(work: str, dag_id: str, run_id: str) -> str:
    """The folder of a DAG run's files: the same for all tries, and different for every run."""
    digest = hashlib.sha256(run_id.encode()).hexdigest()[:8]
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", run_id)[:80].strip("-")
    return f"{work.rstrip('/')}/{dag_id}/{readable}-{digest}"


def write_batches(folder: str, batches: Iterable[PlannedBatch]) -> list[str]:
    """Write a file per batch, as `StarBatchOperator(stars_file=...)` reads it; returns their paths."""
    paths = []
    for batch in batches:
        _write(f"{folder}/{batch.name}.csv", (COLUMN,), ((star,) for star in batch.stars))
        paths.append(f"{folder}/{batch.name}.csv")
    return paths


def write_bad_rows(path: str, unit: str, bad: Iterable[BadRow]) -> str:
    """Write a file with the rows that are left out, and why; returns its path."""
    _write(path, (unit, COLUMN, "problem"), ((one.number, one.star, one.problem) for one in bad))
    return path


def _write(path: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    target = ObjectStoragePath(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text.getvalue(), encoding="utf-8")
