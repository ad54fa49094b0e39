"""The mission's DAGs: that they can be read, their tasks, what their forms accept, what reading them costs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, Asset, TriggerRule
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.decoders import decode_deadline_reference
from airflow.serialization.encoders import encode_deadline_reference
from airflow.serialization.serialized_objects import DagSerialization

from e2e.demo.__main__ import CAMPAIGN, TARGETS
from e2e.demo.inputs import STARS
from plato_sas_airflow.deadlines import RunQueued
from plato_sas_airflow.mission.targets.files import read_list
from plato_sas_airflow.mission.targets.validation import Validator
from plato_sas_airflow.notifications import missed_deadline
from plato_sas_airflow.operators.star_batch import StarBatchOperator
from plato_sas_airflow.operators.star_catalogue import StarCatalogueOperator
from plato_sas_airflow.operators.star_processing import StarProcessingOperator
from plato_sas_airflow.settings import Settings
from tests.plato_sas_airflow.testbed import REPOSITORY

DAGS = REPOSITORY / "airflow_dags" / "dags"
MISSION = ("plato_sas_quarter", "plato_sas_star", "plato_sas_reprocess", "plato_sas_arrivals")


def bag() -> DagBag:
    return DagBag(dag_folder=str(DAGS))


@pytest.fixture(scope="module")
def dags() -> dict[str, DAG]:
    read = bag()
    assert read.import_errors == {}
    return {name: read.dags[name] for name in MISSION}


def graph(dag: DAG) -> dict[str, set[str]]:
    """Task to the tasks that follow it directly."""
    return {task.task_id: set(task.downstream_task_ids) for task in dag.tasks}


def test_the_quarter_plans_processes_collects_and_announces(dags: dict[str, DAG]) -> None:
    dag = dags["plato_sas_quarter"]
    assert graph(dag) == {
        "request": {"tables", "plan", "stars", "catalogue", "announce"},
        "tables": {"plan", "catalogue"},
        "plan": {"stars"},
        "stars": {"catalogue", "announce"},
        "catalogue": {"announce"},
        "announce": set(),
    }
    assert dag.get_task("stars").operator_class is StarBatchOperator
    assert isinstance(dag.get_task("catalogue"), StarCatalogueOperator)
    assert dag.schedule == Asset("plato-sas://targets")
    assert dag.get_task("catalogue").trigger_rule == TriggerRule.ALL_SUCCESS, "a batch that failed stops the catalogue"
    assert [outlet.name for outlet in dag.get_task("announce").outlets] == ["plato-sas-campaigns"]


def test_a_run_has_so_many_batches_under_way(dags: dict[str, DAG]) -> None:
    for name in ("plato_sas_quarter", "plato_sas_reprocess", "plato_sas_arrivals"):
        assert dags[name].get_task("stars").max_active_tis_per_dagrun == Settings().batches_at_once


def test_one_star_is_one_task(dags: dict[str, DAG]) -> None:
    dag = dags["plato_sas_star"]
    assert [type(task) for task in dag.tasks] == [StarProcessingOperator]
    assert dag.schedule is None
    assert {"star", "campaign", "pipeline", "parameters", "inputs", "priority", "rerun_from"} <= set(dag.params)


def test_reprocessing_and_arrivals_are_batches(dags: dict[str, DAG]) -> None:
    assert graph(dags["plato_sas_reprocess"]) == {"select": {"stars"}, "stars": set()}
    assert graph(dags["plato_sas_arrivals"]) == {
        "look": {"stars", "remember"},
        "stars": {"remember"},
        "remember": set(),
    }
    assert dags["plato_sas_arrivals"].schedule is None, "it is scheduled where a site says so"


@pytest.mark.parametrize("name", MISSION)
def test_every_dag_can_be_stored_and_has_retries_an_alert_and_a_text(dags: dict[str, DAG], name: str) -> None:
    dag = dags[name]
    stored = DagSerialization.to_dict(dag)
    assert set(DagSerialization.from_dict(stored).task_dict) == set(dag.task_dict)
    settings = Settings()
    (alert,) = dag.deadline if isinstance(dag.deadline, list) else [dag.deadline]
    assert decode_deadline_reference(encode_deadline_reference(alert.reference)).inner_ref == RunQueued()
    assert alert.interval == getattr(settings, f"{name.removeprefix('plato_sas_')}_alert")
    assert alert.callback.path == f"{missed_deadline.__module__}.{missed_deadline.__qualname__}"
    assert dag.on_failure_callback
    assert dag.doc_md
    assert all(task.retries == settings.retries for task in dag.tasks)
    assert dag.catchup is False


@pytest.mark.parametrize(
    ("name", "field", "value", "good"),
    [
        ("plato_sas_star", "star", "kic-6603624", True),
        ("plato_sas_star", "star", "../../etc", False),
        ("plato_sas_star", "stages", "PerStep", True),
        ("plato_sas_star", "stages", "Sideways", False),
        ("plato_sas_star", "priority", 1001, False),
        ("plato_sas_star", "parameters", {"msap3-03": {"snr_min": "4"}}, True),
        ("plato_sas_star", "parameters", ["snr_min"], False),
        ("plato_sas_star", "rerun_from", ["msap3-03"], True),
        ("plato_sas_star", "rerun_from", ["MSAP 3"], False),
        ("plato_sas_quarter", "campaign", "Q5", True),
        ("plato_sas_quarter", "campaign", "Q 5", False),
        ("plato_sas_quarter", "batch_size", 0, False),
        ("plato_sas_quarter", "max_failed_fraction", 1.1, False),
        ("plato_sas_quarter", "target_list", "/lists/q5.fits", True),
        ("plato_sas_reprocess", "states", ["Failed", "Cancelled"], True),
        ("plato_sas_reprocess", "states", ["Lost"], False),
        ("plato_sas_reprocess", "stars", ["kic-1", "a b"], False),
    ],
)
def test_a_form_accepts_what_can_be_right(dags: dict[str, DAG], name: str, field: str, value: Any, good: bool) -> None:
    param = dags[name].params.get_param(field)
    if good:
        assert param.resolve(value) == value
    else:
        with pytest.raises(ParamValidationError):
            param.resolve(value)


def test_the_settings_are_the_forms_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for option, value in {
        "CAMPAIGN": "Q5",
        "TARGET_LIST": "/lists/q5.csv",
        "PIPELINE": "sas-demo",
        "BATCHES_AT_ONCE": "3",
        "POOL": "stars",
        "QUEUE": "sas",
        "RETRIES": "7",
        "ARRIVALS_SCHEDULE": "@hourly",
        "TARGETS_ASSET": "plato-sas://lists",
    }.items():
        monkeypatch.setenv(f"AIRFLOW__PLATO_SAS__{option}", value)
    read = bag()
    assert read.import_errors == {}
    quarter, arrivals = read.dags["plato_sas_quarter"], read.dags["plato_sas_arrivals"]
    assert quarter.params["campaign"] == "Q5"
    assert quarter.params["target_list"] == "/lists/q5.csv"
    assert quarter.params["pipeline"] == "sas-demo"
    assert quarter.schedule == Asset("plato-sas://lists")
    stars = quarter.get_task("stars")
    assert (stars.max_active_tis_per_dagrun, stars.pool, stars.queue, stars.retries) == (3, "stars", "sas", 7)
    assert arrivals.schedule == "@hourly"


MAY_BE_EMPTY = (
    *("inputs", "namespace", "parameters", "samples", "stars", "states", "target_list"),
    *("failed_steps", "rerun_from"),
)


@pytest.mark.parametrize("name", MISSION)
def test_a_field_that_may_be_empty_has_no_required_mark(dags: dict[str, DAG], name: str) -> None:
    """Airflow's page marks a field whose type does not admit null, and sends null for one that was emptied."""
    params = dags[name].params
    fields = [params.get_param(field) for field in MAY_BE_EMPTY if field in params]
    assert len(fields) >= 3
    for param in fields:
        assert param.resolve(None) is None


def test_forms_propose_the_campaigns_and_pipelines_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__PLATO_SAS__CAMPAIGN", "Q3")
    read = bag()
    for name in MISSION:
        params = read.dags[name].params
        proposed = {
            field: params.get_param(field).schema["examples"] for field in ("campaign", "previous_campaign", "pipeline")
        }
        assert proposed == {
            "campaign": ["Q3", "Q2", "Q1"],
            "previous_campaign": ["auto", "none", "Q2", "Q1"],
            "pipeline": ["sas-baseline", "sas-demo"],
        }
        assert params.get_param("campaign").resolve("S1") == "S1", "others are accepted, too"


def test_a_setting_that_is_not_valid_is_an_import_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__PLATO_SAS__BATCH_SIZE", "many")
    errors = bag().import_errors
    assert {Path(path).stem for path in errors} >= set(MISSION)
    assert all("[plato_sas] batch_size: " in text for path, text in errors.items() if Path(path).stem in MISSION)


# Airflow takes seconds to import: once, then a process for each DAG file.
_IMPORTED = """
import json, os, sys
folder, *names = sys.argv[1:]
sys.path.insert(0, folder)
import airflow.sdk, airflow.providers.cncf.kubernetes.hooks.kubernetes
for name in names:
    reader, writer = os.pipe()
    if os.fork() == 0:
        __import__(name)
        with os.fdopen(writer, "w") as pipe:
            json.dump(sorted(sys.modules), pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        print(json.dumps([name, json.loads(pipe.read())]))
    os.wait()
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    """By DAG file: the modules of a process that has read it."""
    found = subprocess.run(
        [sys.executable, "-c", _IMPORTED, str(DAGS), *MISSION],
        env=dict(os.environ), capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return {name: set(modules) for name, modules in map(json.loads, found.stdout.splitlines())}


@pytest.mark.parametrize("name", MISSION)
def test_reading_a_dag_file_imports_nothing_for_files_and_tables(imported: dict[str, set[str]], name: str) -> None:
    """What the tasks need is imported when they run."""
    assert "plato_sas_airflow.mission.forms" in imported[name]
    heavy = {
        "astropy",
        "numpy",
        "h5py",
        "pandas",
        "plato_sas_airflow.mission.targets.tables",
        "plato_sas_airflow.mission.arrivals.store",
    }
    assert imported[name] & heavy == set()


def test_the_demos_target_list_is_good_and_has_the_demos_stars() -> None:
    columns = (Settings().star_column, Settings().sample_column, Settings().priority_column)
    table = read_list(str(TARGETS), columns[0], columns[1:])
    found = Validator(table, columns, CAMPAIGN, Settings().sample_priorities).validate("the demo's list")
    assert found.bad == []
    assert {one.star for one in found.targets} == set(STARS)
