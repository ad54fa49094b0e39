"""The package as Airflow sees it: entry point, DAGs, serialized triggers, imports."""

import ast
import asyncio
import json
import pkgutil
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag

import plato_sas_airflow
from airflow_testbed import REPOSITORY, Task
from plato_sas_airflow.batch import Batch
from plato_sas_airflow.operators.star_batch import StarBatchOperator
from plato_sas_airflow.triggers.star_batch import StarBatchTrigger

BATCH = Batch(
    id="dag-1",
    namespace="plato",
    campaign="Q1",
    pipeline="sas-demo",
    stars=["KIC1", "KIC2"],
    parameters={"msap1": {"window": "3.5"}},
    priority=3,
    try_number=2,
    origin="dag/run/stars",
)


def test_entry_point_is_the_provider_info() -> None:
    (entry,) = [one for one in entry_points(group="apache_airflow_provider") if one.module.startswith("plato_sas")]
    info = entry.load()()
    assert info["package-name"] == "plato-sas"
    assert {"name", "description"} <= info.keys()


def test_dags_import_without_errors() -> None:
    bag = DagBag(dag_folder=str(REPOSITORY / "airflow_dags" / "dags"))
    assert bag.import_errors == {}
    dag = bag.dags["plato_sas_demo"]
    assert set(dag.task_ids) == {"stars", "summary"}
    assert isinstance(dag.get_task("stars"), StarBatchOperator)
    assert dag.schedule is None
    assert set(dag.params) == {"stars", "campaign", "pipeline", "namespace"}


def test_a_trigger_serializes_exactly_and_comes_back_the_same() -> None:
    trigger = StarBatchTrigger(BATCH.serialize(), "kube", deadline=1234.5, report_seconds=7.0)
    path, arguments = trigger.serialize()
    assert path == "plato_sas_airflow.triggers.star_batch.StarBatchTrigger"
    assert arguments == {
        "batch": {
            "id": "dag-1",
            "namespace": "plato",
            "campaign": "Q1",
            "pipeline": "sas-demo",
            "stars": ["KIC1", "KIC2"],
            "parameters": {"msap1": {"window": "3.5"}},
            "priority": 3,
            "try_number": 2,
            "origin": "dag/run/stars",
        },
        "kubernetes_conn_id": "kube",
        "deadline": 1234.5,
        "report_seconds": 7.0,
    }
    again = pkgutil.resolve_name(path)(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)
    assert again.batch == BATCH


def test_an_operators_batch_is_the_same_for_every_try_but_for_its_claim() -> None:
    operator = StarBatchOperator(
        task_id="stars", stars='["KIC1"]', campaign="Q1", pipeline="sas-demo", namespace="plato"
    )
    contexts: list[Any] = [{"ti": Task(try_number=number)} for number in (1, 2)]
    first, second = map(operator.batch, contexts)
    assert first.id == second.id
    assert first.claim != second.claim
    assert first.names() == {"kic1-q1": "KIC1"}


def test_a_triggers_event_is_what_the_operator_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch whose deadline has passed needs no cluster: nothing is asked."""
    monkeypatch.setenv("AIRFLOW_CONN_NOWHERE", json.dumps({"conn_type": "kubernetes", "extra": _nowhere()}))
    trigger = StarBatchTrigger(BATCH.serialize(), "nowhere", deadline=0.0)

    async def first() -> object:
        return [event.payload async for event in trigger.run()]

    assert asyncio.run(first()) == [{"total": 2, "succeeded": 0, "failed": 0, "unfinished": 2, "failures": []}]


def _nowhere() -> dict[str, object]:
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    return {
        "kube_config": {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "x",
            "clusters": [cluster],
            "contexts": [context],
            "users": [{"name": "u", "user": {}}],
        }
    }


def test_of_the_operator_only_the_models_are_imported() -> None:
    folder = Path(plato_sas_airflow.__file__).parent
    imported = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module)
            elif isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
    ours = {name for name in imported if name == "plato_sas" or name.startswith("plato_sas.")}
    assert ours == {"plato_sas.api"}
