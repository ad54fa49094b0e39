"""The failed stars of a batch as a file, for people and as another batch's `stars_file`."""

import csv
import io
from collections.abc import Sequence

from airflow.sdk import ObjectStoragePath
from asgiref.sync import sync_to_async

from plato_sas_airflow.batches.results import StarFailure
from plato_sas_airflow.kube.watching import Log
from plato_sas_airflow.stars.files import COLUMN

_HEADER = (COLUMN, "resource", "state", "step", "exit_code", "reason", "message")


def as_csv(failures: Sequence[StarFailure]) -> str:
    """A header and a line per failed star; the lines of its message are joined by ` | `."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    for one in failures:
        message = " | ".join((one.message or "").splitlines())
        writer.writerow((one.star, one.name, one.state, one.step, one.exit_code, one.reason, message))
    return text.getvalue()


async def write_failed_stars(path: str, failures: Sequence[StarFailure], log: Log) -> str | None:
    """Write the file; returns its path, or None if it cannot be written, which is logged.

    :param path: a local path, or a URL of a storage that Airflow knows.
    """

    def write() -> None:
        target = ObjectStoragePath(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(as_csv(failures), encoding="utf-8")

    try:
        # A storage's client blocks, and requests its connection from Airflow.
        await sync_to_async(write)()
    except Exception as error:  # the batch's result matters more than this file
        log.error("The failed stars could not be written to %s: %s: %s", path, type(error).__name__, error)
        return None
    log.info("The %d failed stars are in %s", len(failures), path)
    return path
