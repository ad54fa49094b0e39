"""The package as Airflow sees it: entry point, DAGs, serialized triggers, imports."""

import ast
import asyncio
import importlib
import json
import pkgutil
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from airflow.providers_manager import ProvidersManager
from airflow.sdk import DAG, task
from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime
from airflow.serialization.serialized_objects import DagSerialization

import plato_sas_airflow
from plato_sas_airflow.batches.batch import Batch
from plato_sas_airflow.batches.results import BatchResult
from plato_sas_airflow.batches.waiting import Waiting
from plato_sas_airflow.kube import client
from plato_sas_airflow.links import star_processing as links
from plato_sas_airflow.operators.star_batch import StarBatchOperator
from plato_sas_airflow.operators.star_processing import StarProcessingOperator
from plato_sas_airflow.provider_info import get_provider_info
from plato_sas_airflow.sensors.star_processing import StarProcessingSensor
from plato_sas_airflow.settings import DEFAULT_CONNECTION
from plato_sas_airflow.stars.star import Star, batch_slices, star_spec
from plato_sas_airflow.triggers.star_batch import StarBatchTrigger
from plato_sas_airflow.triggers.star_state import StarStateTrigger
from tests.plato_sas_airflow.testbed import REPOSITORY, Task

KINDS = ("operators", "sensors", "hooks", "triggers")
COMMON: dict[str, Any] = {"campaign": "Q1", "pipeline": "sas-demo", "namespace": "plato"}


def jsonable(value: Any) -> Any:
    return json.loads(json.dumps(value))


BATCH = Batch(
    id="dag-1",
    namespace="plato",
    campaign="Q1",
    pipeline="sas-demo",
    stars=[Star("KIC1"), Star("KIC2", priority=4)],
    parameters={"msap1": {"window": "3.5"}},
    priority=3,
    try_number=2,
    origin="dag/run/stars",
)


def test_the_entry_point_gives_what_airflows_schema_wants() -> None:
    (entry,) = [one for one in entry_points(group="apache_airflow_provider") if one.module.startswith("plato_sas")]
    info = entry.load()()
    assert info["package-name"] == "plato-sas"
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(info, schema)


def test_everything_the_provider_names_is_there() -> None:
    info = get_provider_info()
    modules = [module for kind in KINDS for group in info[kind] for module in group["python-modules"]]
    for module in modules:
        importlib.import_module(module)
    folder = Path(plato_sas_airflow.__file__).parent
    present = {path.stem for kind in KINDS for path in (folder / kind).glob("*.py") if path.stem != "__init__"}
    # What the operators share is no operator.
    assert present - {"arguments", "task"} == {module.rsplit(".", 1)[1] for module in modules}
    for name in (
        *info["extra-links"],
        *(one["class-name"] for one in info["task-decorators"]),
        *(one["hook-class-name"] for one in info["connection-types"]),
    ):
        assert pkgutil.resolve_name(name)


def test_airflow_knows_the_provider() -> None:
    manager, runtime = ProvidersManager(), ProvidersManagerTaskRuntime()
    assert "plato-sas" in manager.providers
    assert "plato_sas" in runtime.hooks
    assert "star_batch" in runtime.taskflow_decorators
    assert f"{links.__name__}.ProductsLink" in manager.extra_links_class_names


def test_what_a_dag_file_imports_leaves_the_kubernetes_clients_alone() -> None:
    """They take most of a second, and DAG files are parsed again and again."""
    folder = Path(plato_sas_airflow.__file__).parent
    kinds = ("operators", "sensors", "decorators", "links")
    modules = [f"plato_sas_airflow.{kind}.{path.stem}" for kind in kinds for path in (folder / kind).glob("[a-z]*.py")]
    code = f"import {', '.join(modules)}, sys; print([one for one in sys.modules if one.startswith('kubernetes')])"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    assert len(modules) >= 6
    assert run.stdout.splitlines()[-1] == "[]"


def test_the_default_connection_is_that_of_airflows_hook() -> None:
    assert (
        DEFAULT_CONNECTION
        == KubernetesHook.default_conn_name
        == StarBatchOperator(task_id="stars", stars=["KIC1"], **COMMON).kubernetes_conn_id
    )


def test_the_guides_dags_import_without_errors(tmp_path: Path) -> None:
    guide = (REPOSITORY / "docs" / "guides" / "airflow-guide.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    for number, block in enumerate(blocks):
        (tmp_path / f"guide_{number}.py").write_text(block)
    bag = DagBag(dag_folder=str(tmp_path))
    assert bag.import_errors == {}
    assert len(bag.dags) == len(blocks) > 3


def test_a_trigger_serializes_exactly_and_comes_back_the_same() -> None:
    waiting = Waiting(report_seconds=7.0, rejected_seconds=60.0, failed_stars_path="s3://c@b/failed.csv")
    trigger = StarBatchTrigger(BATCH.serialize(), "kube", deadline=1234.5, waiting=waiting.serialize())
    path, arguments = trigger.serialize()
    assert path == "plato_sas_airflow.triggers.star_batch.StarBatchTrigger"
    assert arguments == {
        "batch": {
            "id": "dag-1",
            "namespace": "plato",
            "campaign": "Q1",
            "pipeline": "sas-demo",
            "stars": ["KIC1", {"star": "KIC2", "priority": 4}],
            "parameters": {"msap1": {"window": "3.5"}},
            "priority": 3,
            "try_number": 2,
            "origin": "dag/run/stars",
        },
        "kubernetes_conn_id": "kube",
        "deadline": 1234.5,
        "waiting": {"report_seconds": 7.0, "rejected_seconds": 60.0, "failed_stars_path": "s3://c@b/failed.csv"},
    }
    again = pkgutil.resolve_name(path)(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)
    assert again.batch == BATCH
    assert again.waiting == waiting


def test_the_sensors_trigger_serializes_exactly_and_comes_back_the_same() -> None:
    goal = {"allowed": ["Reused", "Succeeded"], "failed": ["Failed"], "step": "msap1", "minimum": 3}
    trigger = StarStateTrigger("plato", goal, "kube", None, "a=b", 5.0)
    path, arguments = trigger.serialize()
    assert path == "plato_sas_airflow.triggers.star_state.StarStateTrigger"
    assert arguments == {
        "namespace": "plato",
        "goal": goal,
        "kubernetes_conn_id": "kube",
        "name": None,
        "selector": "a=b",
        "report_seconds": 5.0,
    }
    assert pkgutil.resolve_name(path)(**json.loads(json.dumps(arguments))).serialize() == (path, arguments)


@pytest.mark.parametrize(
    "made",
    [
        StarBatchOperator(task_id="t", stars=["KIC1", star_spec("KIC2", priority=3)], **COMMON),
        StarBatchOperator(task_id="t", stars_file="s3://c@b/stars.csv", star_slice=[0, 500], **COMMON),
        StarProcessingOperator(task_id="t", star="KIC1", inputs={"DP1_LC_MERGED": {"path": "a.h5"}}, **COMMON),
        StarProcessingSensor(task_id="t", label_selector="a=b", minimum=2, namespace="plato"),
    ],
    ids=lambda made: type(made).__name__,
)
def test_an_operator_survives_airflows_serialization(made: Any) -> None:
    """Template fields, links and map arguments are what the scheduler and the pages know of it."""
    with DAG("d", schedule=None) as dag:
        dag.add_task(made)
    content = DagSerialization.to_dict(dag)
    kept = DagSerialization.from_dict(content).get_task("t")
    for name in type(made).template_fields:
        assert getattr(kept, name) == jsonable(getattr(made, name))
    assert list(kept.extra_links) == sorted(link.name for link in made.operator_extra_links)
    assert DagSerialization.to_dict(dag) == content


def test_a_decorated_function_finds_the_stars(monkeypatch: pytest.MonkeyPatch) -> None:
    with DAG("d", schedule=None) as dag:

        @task.star_batch(campaign="Q1", pipeline="sas-demo", namespace="plato")  # type: ignore[attr-defined]
        def chosen(names: list[str]) -> list[Any]:
            return [star_spec(name, priority=2) for name in names]

        chosen(["KIC1", "KIC2"])
    made: Any = dag.get_task("chosen")
    assert isinstance(made, StarBatchOperator)
    assert (
        DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task("chosen").operator_name == "@task.star_batch"
    )
    batches: list[Batch] = []

    async def process(batch: Batch, request: object) -> BatchResult:
        batches.append(batch)
        return BatchResult(2, 2, 0, 0)

    monkeypatch.setattr(made, "_process", process)
    context: Any = {"ti": Task()}
    assert made.execute(context)["succeeded"] == 2
    assert [(star.name, star.priority) for star in batches[0].stars] == [("KIC1", 2), ("KIC2", 2)]


def test_a_batch_can_be_mapped_over_lists_and_over_slices() -> None:
    with DAG("d", schedule=None) as dag:
        StarBatchOperator.partial(task_id="a", **COMMON).expand(stars=[["KIC1"], ["KIC2"]])
        StarBatchOperator.partial(task_id="b", stars_file="x.csv", **COMMON).expand(star_slice=batch_slices(1200, 500))
    kept = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert [kept.get_task(name).get_parse_time_mapped_ti_count() for name in ("a", "b")] == [2, 3]


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
    """A batch whose deadline has passed; that its stars cannot be cancelled is told, and costs no result."""
    monkeypatch.setattr(client, "PERSISTENCE_SECONDS", 0.0)
    monkeypatch.setenv("AIRFLOW_CONN_NOWHERE", json.dumps({"conn_type": "kubernetes", "extra": _nowhere()}))
    trigger = StarBatchTrigger(BATCH.serialize(), "nowhere", deadline=0.0)

    async def first() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    (payload,) = asyncio.run(first())
    assert BatchResult.deserialize(payload) == BatchResult(total=2, succeeded=0, failed=0, unfinished=2)


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


def test_the_one_internal_name_of_airflow_that_is_used_is_there() -> None:
    """Airflow has no public name for arguments that are known only while the task runs."""
    folder = Path(plato_sas_airflow.__file__).parent
    internal = {line for path in folder.rglob("*.py") for line in path.read_text().splitlines() if "._internal" in line}
    assert internal == {"from airflow.sdk.definitions._internal.types import SET_DURING_EXECUTION"}
    types = importlib.import_module("airflow.sdk.definitions._internal.types")
    assert hasattr(types, "SET_DURING_EXECUTION"), "Airflow has changed: see decorators/star_batch.py"


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
