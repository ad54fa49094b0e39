"""A campaign's catalogue: its name, when it is made again, what its status says for certain."""

import json
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from plato_sas_airflow.catalogues.resource import (
    WantedCatalogue,
    catalogue_name,
    checked_spec,
    state_at_rest,
    summary,
)
from plato_sas_airflow.catalogues.tables import read_tables
from plato_sas_airflow.catalogues.waiting import CatalogueObserver, CatalogueRef
from plato_sas_airflow.errors import BatchError
from plato_sas_airflow.operators.star_catalogue import StarCatalogueOperator
from plato_sas_airflow.triggers.star_catalogue import StarCatalogueTrigger
from tests.plato_sas_airflow.testbed import REPOSITORY, Listening, Task

TABLES = [{"name": "DP3", "columns": [{"name": "nu_max", "step": "msap3-03", "fact": "nu_max", "unit": "uHz"}]}]
MANIFEST = """\
apiVersion: plato-sas.io/v1alpha1
kind: StarCatalogue
spec: {campaign: demo, pipeline: sas-demo, tables: [{name: DP3, columns: [{name: x, step: a, fact: x}]}]}
"""
CATALOGUES = REPOSITORY / "airflow_dags" / "dags" / "catalogues"


def wanted(token: str = "t/0", **changes: Any) -> WantedCatalogue:
    spec = checked_spec({"campaign": "q5", "pipeline": "sas-demo", "tables": TABLES, **changes})
    return WantedCatalogue("q5-sas-demo", "plato", spec, token, "dag/run/catalogue")


def existing(token: str = "t/0", generation: int = 1, status: dict[str, Any] | None = None, **spec: Any) -> Any:
    metadata = {
        "name": "q5-sas-demo",
        "namespace": "plato",
        "uid": "u1",
        "resourceVersion": "77",
        "generation": generation,
        "annotations": {"plato-sas.io/airflow-rerun": token},
    }
    # As the server gives it back, with defaults filled in.
    given = {"campaign": "q5", "pipeline": "sas-demo", "tables": TABLES, "timeout": "6h", **spec}
    return {"metadata": metadata, "spec": given, "status": status or {}}


@pytest.mark.parametrize(
    ("campaign", "pipeline", "name"),
    [("q5", "sas-demo", "q5-sas-demo"), ("demo", "sas-baseline", "demo-sas-baseline")],
)
def test_a_plain_name_is_campaign_and_pipeline(campaign: str, pipeline: str, name: str) -> None:
    assert catalogue_name(campaign, pipeline) == name


def test_look_alikes_get_different_names() -> None:
    pairs = [
        ("Q5", "sas-demo"),
        ("q5", "sas-demo"),
        ("q5-sas", "demo"),
        ("q5_x", "sas"),
        ("q5-x", "sas"),
        ("q" * 48, "p"),
    ]
    names = [catalogue_name(*pair) for pair in pairs]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name) and len(name) <= 52 for name in names)


def test_what_is_not_there_is_created() -> None:
    body = wanted().to_apply(None)
    assert body is not None
    assert body["kind"] == "StarCatalogue"
    assert body["metadata"]["labels"] == {"plato-sas.io/campaign": "q5"}
    assert "rerun" not in body["spec"]
    assert "resourceVersion" not in body["metadata"]


def test_a_retry_adopts_and_another_run_has_it_made_again() -> None:
    assert wanted("t/0").to_apply(existing("t/0")) is None
    again = wanted("t/1").to_apply(existing("t/0"))
    assert again is not None
    assert again["spec"]["rerun"] == {"id": 1}
    assert again["metadata"]["resourceVersion"] == "77"
    third = wanted("t/2").to_apply(existing("t/1", rerun={"id": 4}, status={"rerun": 3}))
    assert third is not None
    assert third["spec"]["rerun"] == {"id": 5}


def test_other_tables_are_refused() -> None:
    other = [{"name": "DP4", "columns": [{"name": "prot", "step": "msap4-03", "fact": "prot"}]}]
    with pytest.raises(BatchError, match="q5-sas-demo exists with other tables, which cannot be changed"):
        wanted("t/1").to_apply(existing("t/0", tables=other))


def test_one_on_its_way_out_is_refused() -> None:
    leaving = existing("t/0")
    leaving["metadata"]["deletionTimestamp"] = "2026-11-23T00:00:00Z"
    with pytest.raises(BatchError, match="is being deleted"):
        wanted("t/0").to_apply(leaving)


@pytest.mark.parametrize(
    ("status", "spec", "state"),
    [
        ({}, {}, None),
        ({"state": "Succeeded"}, {}, None),
        ({"state": "Succeeded", "observedGeneration": 1}, {}, None),
        ({"state": "Succeeded", "observedGeneration": 2}, {}, "Succeeded"),
        ({"state": "Failed", "observedGeneration": 2}, {}, "Failed"),
        ({"state": "Running", "observedGeneration": 2}, {}, None),
        ({"state": "Rejected", "observedGeneration": 2}, {}, "Rejected"),
        ({"state": "Fabulous", "observedGeneration": 2}, {}, None),
        ({"state": "Succeeded", "observedGeneration": 2, "rerun": 1}, {"rerun": {"id": 2}}, None),
        ({"state": "Succeeded", "observedGeneration": 2, "rerun": 2}, {"rerun": {"id": 2}}, "Succeeded"),
    ],
)
def test_only_a_final_state_of_the_present_spec_counts(status: Any, spec: Any, state: str | None) -> None:
    assert state_at_rest(existing(generation=2, status=status, **spec)) == state


async def test_a_deleted_or_replaced_catalogue_is_never_a_success() -> None:
    done = existing(status={"state": "Succeeded", "observedGeneration": 1})
    observer = CatalogueObserver(CatalogueRef.of(done), Listening())
    await observer.missing(set())
    assert observer.end == {"name": "q5-sas-demo", "state": "Deleted"}
    observer = CatalogueObserver(CatalogueRef("q5-sas-demo", "plato", "another"), Listening())
    observer.observe(done)
    assert observer.end == {"name": "q5-sas-demo", "state": "Deleted"}


async def test_an_end_that_was_seen_is_not_taken_back_by_a_deletion() -> None:
    done = existing(status={"state": "Succeeded", "observedGeneration": 1, "stars": {"seen": 5}})
    observer = CatalogueObserver(CatalogueRef.of(done), Listening())
    observer.observe(done)
    await observer.deleted("q5-sas-demo")
    assert observer.done
    assert observer.end == summary(done)


def test_a_rejected_catalogue_is_waited_for() -> None:
    observer = CatalogueObserver(CatalogueRef.of(existing()), Listening())
    observer.observe(existing(status={"state": "Rejected", "observedGeneration": 1, "message": "no pipeline"}))
    assert not observer.done
    assert observer.rejected is not None
    assert observer.rejected["message"] == "no pipeline"
    observer.observe(existing(status={"state": "Running", "observedGeneration": 1}))
    assert observer.rejected is None


def test_the_trigger_serializes_exactly_and_comes_back_the_same() -> None:
    trigger = StarCatalogueTrigger({"name": "n", "namespace": "plato", "uid": "u"}, "kube", 12.5, 60.0)
    path, arguments = trigger.serialize()
    assert path == "plato_sas_airflow.triggers.star_catalogue.StarCatalogueTrigger"
    assert arguments == {
        "catalogue": {"name": "n", "namespace": "plato", "uid": "u"},
        "kubernetes_conn_id": "kube",
        "deadline": 12.5,
        "rejected_seconds": 60.0,
    }
    again = pkgutil.resolve_name(path)(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)


def test_the_operators_wish_is_the_same_for_every_retry_and_new_after_a_clear() -> None:
    operator = StarCatalogueOperator(
        task_id="c", campaign="q5", pipeline="sas-demo", tables=TABLES, namespace="plato", retries=2
    )
    tries: list[Any] = [
        Task(try_number=1, max_tries=2),
        Task(try_number=2, max_tries=2),
        Task(try_number=3, max_tries=4),
    ]
    tokens = [operator.wanted({"ti": one}).token for one in tries]  # type: ignore[typeddict-item]
    assert tokens[0] == tokens[1] != tokens[2]


def test_bad_arguments_are_named_while_the_dag_is_parsed() -> None:
    with pytest.raises(BatchError, match=r"catalogue: tables.0.columns: "):
        StarCatalogueOperator(task_id="c", campaign="q5", pipeline="p", tables=[{"name": "DP3", "columns": []}])


@pytest.mark.parametrize("path", sorted(CATALOGUES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_catalogues_tables_are_of_steps_and_products_that_there_are(path: Path) -> None:
    tables = read_tables(str(CATALOGUES), path.stem)
    (pipeline,) = [
        document
        for one in (REPOSITORY / "manifests" / "pipelines").glob("*.yaml")
        for document in yaml.safe_load_all(one.read_text())
        if document["metadata"]["name"] == path.stem
    ]
    modules = {
        document["metadata"]["name"]: document["spec"]
        for one in (REPOSITORY / "modules").glob("*/module.yaml")
        for document in yaml.safe_load_all(one.read_text())
    }
    steps = {step["name"]: modules[step["module"]] for step in pipeline["spec"]["steps"]}
    for column in [column for table in tables for column in table["columns"]]:
        module = steps[column["step"]]
        kind, name = ("facts", column["fact"]) if "fact" in column else ("outputs", column["output"])
        assert name in {one["name"] for one in module[kind]}, column


def test_tables_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(BatchError, match=r"other.yaml does not exist: it defines the tables"):
        read_tables(str(tmp_path), "other")
    for name, text, told in (
        ("bad", MANIFEST.replace("columns", "rows"), "catalogue: tables.0.columns"),
        ("none", "[]", "not the manifest of a StarCatalogue"),
        ("star", "kind: StarProcessing", "not the manifest of a StarCatalogue"),
        ("old", MANIFEST.replace("v1alpha1", "v1"), "not the manifest of a StarCatalogue"),
        ("more", MANIFEST.replace("{campaign", "{stars: [a], campaign"), "spec: stars: not used"),
        ("other", MANIFEST, "spec.pipeline is sas-demo, not other"),
    ):
        (tmp_path / f"{name}.yaml").write_text(text)
        with pytest.raises(BatchError, match=rf"{name}.yaml: {told}"):
            read_tables(str(tmp_path), name)
