"""The mission's DAGs and the catalogue's operator on the real API server; the tests write the status as the operator.

A DAG is run by `airflow dags test`: in one process, without a scheduler. Its triggers run in that process as well. The
DAGs have no deadline alerts then: with one, the command fails after a run that succeeded
(https://github.com/apache/airflow/issues/73428).
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plato_sas_airflow.catalogues.client import StarCatalogueClient
from plato_sas_airflow.catalogues.waiting import CatalogueRef, wait_for_catalogue
from plato_sas_airflow.hooks.star_processing import StarProcessingHook
from plato_sas_airflow.operators.star_catalogue import StarCatalogueOperator
from tests.plato_sas_airflow.catalogues.test_catalogue import TABLES, wanted
from tests.plato_sas_airflow.testbed import (
    CONNECTION,
    KUBECONFIG,
    LOCAL,
    REPOSITORY,
    Cluster,
    Listening,
    Task,
    kubectl,
    until,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]
CATALOGUES = ("plato-sas.io", "v1alpha1", "starcatalogues")
AIRFLOW = LOCAL / "venv" / "bin" / "airflow"
HOME = LOCAL / "airflow-dags-test"
RUN_SECONDS = 240.0


class Catalogues:
    """StarCatalogues of a namespace as the operator sees them."""

    def __init__(self, cluster: Cluster) -> None:
        group, version, plural = CATALOGUES
        self._where = (group, version, cluster.namespace, plural)
        self._api = cluster.api

    def get(self, name: str) -> Any:
        return self._api.get_namespaced_custom_object(*self._where, name)

    def names(self) -> list[str]:
        return [one["metadata"]["name"] for one in self._api.list_namespaced_custom_object(*self._where)["items"]]

    def delete(self, name: str) -> None:
        self._api.delete_namespaced_custom_object(*self._where, name)

    def set_state(self, name: str, state: str, **status: Any) -> None:
        found = self.get(name)
        body = {"state": state, "observedGeneration": found["metadata"]["generation"], **status}
        if "rerun" in found["spec"]:
            body.setdefault("rerun", found["spec"]["rerun"]["id"])
        self._api.patch_namespaced_custom_object_status(*self._where, name, {"status": body})


@pytest.fixture
def catalogues(cluster: Cluster) -> Catalogues:
    kubectl("wait", "--for=condition=Established", "crd/starcatalogues.plato-sas.io", "--timeout=30s")
    return Catalogues(cluster)


async def test_a_catalogue_is_made_once_for_a_task_and_again_for_the_next(
    catalogues: Catalogues, cluster: Cluster, connection: str
) -> None:
    def want(token: str) -> Any:
        made = wanted(token)
        return type(made)(made.name, cluster.namespace, made.spec, token, made.origin)

    async with StarProcessingHook(connection).get_conn() as opened:
        client = StarCatalogueClient(opened)
        first = await client.ensure(want("t/0"))
        assert (await client.ensure(want("t/0")))["metadata"]["generation"] == first["metadata"]["generation"]
        catalogues.set_state("q5-sas-demo", "Succeeded")
        again = await client.ensure(want("t/1"))
        assert again["metadata"]["uid"] == first["metadata"]["uid"]
        assert again["spec"]["rerun"] == {"id": 1}


@pytest.mark.parametrize("end", ["Succeeded", "Failed", "Deleted", "Rejected", "Unfinished"])
async def test_a_catalogue_is_followed_to_its_end(
    catalogues: Catalogues, cluster: Cluster, connection: str, end: str
) -> None:
    made = wanted()
    log = Listening()
    async with StarProcessingHook(connection).get_conn() as opened:
        resource = await StarCatalogueClient(opened).ensure(
            type(made)(made.name, cluster.namespace, made.spec, made.token, made.origin)
        )
        deadline = time.time() + (3 if end == "Unfinished" else 60)
        waiting = asyncio.create_task(wait_for_catalogue(opened, CatalogueRef.of(resource), log, deadline, 2.0))
        await until(lambda: "not seen by the operator yet" in log.text)
        await asyncio.to_thread(catalogues.set_state, made.name, "Running", attempt=1)
        await until(lambda: "Running, attempt 1" in log.text)
        assert not waiting.done()
        if end == "Deleted":
            await asyncio.to_thread(catalogues.delete, made.name)
        elif end != "Unfinished":
            await asyncio.to_thread(catalogues.set_state, made.name, end, message="the end", stars={"seen": 5})
        found = await asyncio.wait_for(waiting, 60)
    assert found["state"] == end
    if end in ("Succeeded", "Failed", "Rejected"):
        assert found["message"] == "the end"


async def test_the_operator_waits_in_the_worker(catalogues: Catalogues, cluster: Cluster, connection: str) -> None:
    operator = StarCatalogueOperator(
        task_id="catalogue",
        campaign="q5",
        pipeline="sas-demo",
        tables=TABLES,
        namespace=cluster.namespace,
        kubernetes_conn_id=connection,
        deferrable=False,
    )
    context: Any = {"ti": Task(task_id="catalogue")}
    running = asyncio.create_task(asyncio.to_thread(operator.execute, context))
    await until(lambda: catalogues.names() == ["q5-sas-demo"])
    await asyncio.to_thread(catalogues.set_state, "q5-sas-demo", "Succeeded", stars={"seen": 3})
    assert (await asyncio.wait_for(running, 60))["stars"] == {"seen": 3}


@pytest.fixture(scope="module")
def home() -> Path:
    """An Airflow for `dags test`: a database, and no process."""
    HOME.mkdir(parents=True, exist_ok=True)
    subprocess.run([str(AIRFLOW), "db", "migrate"], env=environment(), check=True, capture_output=True, timeout=300)
    return HOME


def environment(**settings: str) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    extra = {"kube_config_path": str(KUBECONFIG)}
    return {
        **inherited,
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "airflow_dags" / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        f"AIRFLOW_CONN_{CONNECTION.upper()}": json.dumps({"conn_type": "kubernetes", "extra": extra}),
        "AIRFLOW__PLATO_SAS__CONNECTION": CONNECTION,
        **{f"AIRFLOW__PLATO_SAS__{name}_ALERT": "never" for name in ("QUARTER", "REPROCESS", "STAR", "ARRIVALS")},
        **{f"AIRFLOW__PLATO_SAS__{key.upper()}": value for key, value in settings.items()},
    }


@pytest.fixture
def dags_test(home: Path, cluster: Cluster, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `airflow dags test`; its output goes to a file, and it is ended with the test."""
    running: list[subprocess.Popen[str]] = []

    def start(dag: str, conf: dict[str, Any], **settings: str) -> subprocess.Popen[str]:
        output = (tmp_path / f"{dag}.log").open("w")
        given = {"work_url": str(tmp_path / "work"), "namespace": cluster.namespace, "pipeline": "sas-demo", **settings}
        command = [str(AIRFLOW), "dags", "test", dag, "--conf", json.dumps(conf)]
        process = subprocess.Popen(
            command, env=environment(**given), stdout=output, stderr=subprocess.STDOUT, text=True, cwd=HOME
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait(30)


async def ended(process: subprocess.Popen[str], tmp_path: Path, dag: str) -> str:
    """The run's output, when it has ended well."""
    code = await asyncio.to_thread(process.wait, RUN_SECONDS)
    text = (tmp_path / f"{dag}.log").read_text()
    assert code == 0, text[-8000:]
    return text


async def test_a_quarter_as_dags_test_runs_it(
    dags_test: Callable[..., subprocess.Popen[str]], cluster: Cluster, catalogues: Catalogues, tmp_path: Path
) -> None:
    targets = tmp_path / "q5.csv"
    targets.write_text("star,sample\nKIC1,P5\nKIC2,P1\nKIC3,P5\nno good,P5\n")
    conf = {"target_list": str(targets), "campaign": "Q5", "batch_size": 2, "max_bad_rows_fraction": 0.5}
    process = dags_test("plato_sas_quarter", conf, max_failed_fraction="0.5")
    # `dags test` runs one batch after the other, in any order.
    done: set[str] = set()
    while done < {"kic1-q5", "kic2-q5", "kic3-q5"} and process.poll() is None:
        await until(lambda: bool(cluster.names() - done) or process.poll() is not None, RUN_SECONDS, every=0.5)
        for name in cluster.names() - done:
            cluster.set_state(name, "Failed" if name == "kic3-q5" else "Succeeded")
            done.add(name)
    assert {cluster.get(name)["spec"]["previousCampaign"] for name in done} == {"Q4"}
    assert cluster.get("kic2-q5")["spec"]["priority"] == 40
    await until(lambda: bool(catalogues.names()) or process.poll() is not None, RUN_SECONDS, every=0.5)
    (name,) = catalogues.names()
    catalogues.set_state(name, "Succeeded", stars={"seen": 3})
    text = await ended(process, tmp_path, "plato_sas_quarter")
    assert "2 of 3 stars succeeded, 1 failed, in 2 batches" in text
    assert "line 5: no good: star:" in text


async def test_failed_stars_are_reprocessed_with_changed_parameters(
    dags_test: Callable[..., subprocess.Popen[str]], cluster: Cluster, tmp_path: Path
) -> None:
    for name, star in (("kic1-q5", "KIC1"), ("kic2-q5", "KIC2")):
        cluster.create(name, star, campaign="Q5")
        cluster.patch(
            name,
            {
                "metadata": {"labels": {"plato-sas.io/campaign": "Q5", "plato-sas.io/star": star}},
                "spec": {"parameters": {"msap1": {"window": "3"}}},
            },
        )
    cluster.set_state("kic1-q5", "Failed")
    cluster.set_state("kic2-q5", "Succeeded")
    conf = {"campaign": "Q5", "parameters": {"msap3-03": {"snr_min": "4"}}, "rerun_from": ["msap3-03"]}
    process = dags_test("plato_sas_reprocess", conf)
    await until(lambda: "rerun" in cluster.get("kic1-q5")["spec"] or process.poll() is not None, RUN_SECONDS, every=0.5)
    spec = cluster.get("kic1-q5")["spec"]
    assert spec["rerun"] == {"id": 1, "from": ["msap3-03"], "failed": False}
    assert spec["parameters"] == {"msap1": {"window": "3"}, "msap3-03": {"snr_min": "4"}}
    assert "rerun" not in cluster.get("kic2-q5")["spec"]
    cluster.set_state("kic1-q5", "Succeeded", rerun=1)
    await ended(process, tmp_path, "plato_sas_reprocess")


async def test_arrivals_start_what_is_ready_and_nothing_twice(
    dags_test: Callable[..., subprocess.Popen[str]], cluster: Cluster, tmp_path: Path
) -> None:
    from tests.plato_sas_airflow.mission.test_arrivals import put_star

    targets = tmp_path / "q5.csv"
    targets.write_text("star\nKIC1\nKIC2\n")
    put_star(tmp_path / "inputs", "KIC1", transits=False)
    put_star(tmp_path / "inputs", "KIC2", transits=True)
    conf = {"target_list": str(targets), "campaign": "Q5"}
    first = dags_test("plato_sas_arrivals", conf, inputs_url=str(tmp_path / "inputs"))
    await until(lambda: bool(cluster.names()) or first.poll() is not None, RUN_SECONDS, every=0.5)
    assert cluster.names() == {"kic1-q5"}
    cluster.set_state("kic1-q5", "Succeeded")
    text = await ended(first, tmp_path, "plato_sas_arrivals")
    assert "1 ready, 1 waits for its transit removal kit" in text
    cluster.delete("kic1-q5")
    second = dags_test("plato_sas_arrivals", conf, inputs_url=str(tmp_path / "inputs"))
    text = await ended(second, tmp_path, "plato_sas_arrivals")
    assert "1 stars of the list were started before" in text
    assert cluster.names() == set()


async def test_one_star_from_the_form(
    dags_test: Callable[..., subprocess.Popen[str]], cluster: Cluster, tmp_path: Path
) -> None:
    conf = {"star": "KIC1", "campaign": "Q5", "parameters": {"msap3-03": {"snr_min": "4"}}, "stages": "PerStep"}
    process = dags_test("plato_sas_star", conf)
    await until(lambda: bool(cluster.names()) or process.poll() is not None, RUN_SECONDS, every=0.5)
    spec = cluster.get("kic1-q5")["spec"]
    assert (spec["stages"], spec["previousCampaign"], spec["priority"]) == ("PerStep", "Q4", 100)
    cluster.set_state("kic1-q5", "Succeeded")
    await ended(process, tmp_path, "plato_sas_star")


def test_the_commands_of_these_tests_are_there() -> None:
    assert AIRFLOW.exists()
    assert Path(sys.executable).parent.samefile(AIRFLOW.parent)
