"""The target list of a run: reading, checking, and the batches' arguments."""

import logging
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from plato_sas_airflow.mission.targets.files import read_list, run_folder, write_bad_rows
from plato_sas_airflow.mission.targets.planning import PlannedBatch
from plato_sas_airflow.mission.targets.validation import TargetList, Validator
from plato_sas_airflow.settings import Settings
from plato_sas_airflow.stars.values import names_of, text_of

log = logging.getLogger(__name__)


def work_folder(settings: Settings) -> str:
    """The folder that workers and triggerers share; by default one in this machine's Airflow home."""
    airflow_home = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
    return settings.work_url.rstrip("/") or str(airflow_home / "plato_sas")


def folder_of(settings: Settings, dag_run: Any) -> str:
    """The folder of a DAG run's files."""
    return run_folder(work_folder(settings), dag_run.dag_id, dag_run.run_id)


def validated_list(settings: Settings, asked: dict[str, Any], folder: str) -> TargetList:
    """The valid rows of the run's list; the others are logged and written to a file.

    Raises BatchError if the list cannot be read, or too many of its rows are not valid.

    :param asked: `target_list`, `campaign`, `samples` and `max_bad_rows_fraction`.
    """
    path = text_of("target_list", asked.get("target_list"))
    columns = (settings.star_column, settings.sample_column, settings.priority_column)
    samples: Collection[str] = names_of("samples", asked.get("samples"))
    table = read_list(path, columns[0], columns[1:])
    validator = Validator(table, columns, asked["campaign"], settings.sample_priorities, frozenset(samples))
    found = validator.validate(path)
    log.info("%s", found.text())
    for problem in found.problems(100):
        log.warning("%s", problem)
    if found.bad:
        log.warning("All of them are in %s", write_bad_rows(f"{folder}/bad-rows.csv", found.unit, found.bad))
    found.require_sound(float(asked["max_bad_rows_fraction"]))
    return found


def required_campaign(params: dict[str, Any]) -> str:
    """The run's campaign. Raises AirflowFailException if there is none."""
    campaign = params.get("campaign")
    if not campaign:
        raise AirflowFailException("campaign: none is given; fill in the form, or the setting [plato_sas] campaign")
    return str(campaign)


def batch_arguments(batches: Sequence[PlannedBatch], paths: Sequence[str]) -> list[dict[str, Any]]:
    """The arguments of each batch's StarBatchOperator; `paths`: the batches' files."""
    return [
        {"stars_file": path, "priority": batch.priority, "failed_stars_path": failed_stars_path(path)}
        for batch, path in zip(batches, paths, strict=True)
    ]


def failed_stars_path(batch_file: str) -> str:
    """The path of a batch's failed stars, beside the batch's own file."""
    return f"{batch_file.removesuffix('.csv')}.failed.csv"
