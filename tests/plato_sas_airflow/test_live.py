"""A real Airflow with its scheduler and triggerer; the tests write the stars' status as the operator would."""

import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.airflow import AirflowApi, AirflowService
from e2e.airflow.settings import Home
from tests.plato_sas_airflow.testbed import LOCAL, Cluster, until

pytestmark = [pytest.mark.integration, pytest.mark.asyncio, pytest.mark.timeout(600)]
_RUN_SECONDS = 240.0
BATCH_DAG, LIBRARY_DAG = "batch_live", "library_live"


@pytest.fixture(scope="module")
def service() -> Iterator[AirflowService]:
    """An Airflow apart from the demo's, with the tests' DAGs; its database is kept."""
    folder = LOCAL / "airflow-tests"
    dags = folder / "dags"
    shutil.rmtree(dags, ignore_errors=True)
    dags.mkdir(parents=True)
    for name in (BATCH_DAG, LIBRARY_DAG):
        shutil.copy(Path(__file__).parent / "dags" / f"{name}.py", dags)
    service = AirflowService(Home(folder=folder, dags=dags, administrator=True), dag_id=LIBRARY_DAG)
    service.up()
    try:
        yield service
    finally:
        service.down()


@pytest.fixture
def api(service: AirflowService) -> Iterator[AirflowApi]:
    with service.api() as api:
        yield api


def trigger(api: AirflowApi, cluster: Cluster, *stars: str) -> str:
    conf: dict[str, Any] = {"stars": list(stars), "campaign": "Q1", "namespace": cluster.namespace}
    return api.trigger_dag(BATCH_DAG, conf)


async def watched(api: AirflowApi, run_id: str, dag_id: str = BATCH_DAG, task_id: str = "stars", try_: int = 1) -> None:
    """Wait until the trigger has logged its first count.

    A task that is resumed within a second or two of its deferral may be failed by a busy scheduler, which then takes
    the deferral's late report for that of the resumed task ("state mismatch").
    """
    pattern = re.compile(r"\d+/\d+ stars: ")
    await until(
        lambda: any(pattern.match(line) for line in api.task_log(dag_id, run_id, task_id, try_)),
        _RUN_SECONDS,
        every=1,
    )


def kill(service: AirflowService, name: str) -> None:
    """Kill a component with all its processes."""
    (daemon,) = [daemon for daemon in service.daemons if daemon.name == name]
    for pid in daemon.members():
        os.kill(pid, signal.SIGKILL)


def state_of(api: AirflowApi, run_id: str, task_id: str) -> tuple[str | None, int]:
    """State and try number of a task of the library's DAG."""
    (found,) = [one for one in api.task_instances(LIBRARY_DAG, run_id) if one["task_id"] == task_id]
    return found["state"], found["try_number"]


def clear(api: AirflowApi, run_id: str, task_id: str) -> None:
    """As a user does on the task's page, downstream included."""
    body = {
        "dag_run_id": run_id,
        "task_ids": [task_id],
        "dry_run": False,
        "only_failed": False,
        "include_downstream": True,
        "reset_dag_runs": True,
    }
    api._json("POST", f"/api/v2/dags/{LIBRARY_DAG}/clearTaskInstances", body)


async def test_a_run_counts_its_stars_and_tells_why_one_failed(api: AirflowApi, cluster: Cluster) -> None:
    run_id = trigger(api, cluster, "KIC1", "KIC2")
    await watched(api, run_id)
    cluster.set_state("kic1-q1", "Succeeded")
    step = {"name": "msap1", "state": "Failed", "exitCode": 3, "message": "DP1_LC_MERGED: no flux"}
    cluster.set_state("kic2-q1", "Failed", steps=[step])
    result = api.wait_run(BATCH_DAG, run_id, _RUN_SECONDS)
    assert result.tasks == {"stars": "failed", "summary": "failed"}
    assert not result.succeeded
    counts = result.result["stars"]
    assert (counts["total"], counts["succeeded"], counts["failed"]) == (2, 1, 1)
    log = "\n".join(api.task_log(BATCH_DAG, run_id, "stars"))
    assert "KIC2: Failed, step msap1, exit code 3" in log
    assert "DP1_LC_MERGED: no flux" in log


async def test_a_killed_triggerer_changes_nothing(service: AirflowService, api: AirflowApi, cluster: Cluster) -> None:
    run_id = trigger(api, cluster, "KIC1")
    await watched(api, run_id)
    kill(service, "triggerer")
    cluster.set_state("kic1-q1", "Succeeded")
    service.up()
    assert api.wait_run(BATCH_DAG, run_id, _RUN_SECONDS).succeeded
    assert cluster.get("kic1-q1")["spec"]["desiredState"] == "Run"


async def test_a_task_marked_failed_cancels_its_stars(api: AirflowApi, cluster: Cluster) -> None:
    run_id = trigger(api, cluster, "KIC1", "KIC2")
    await watched(api, run_id)
    cluster.set_state("kic1-q1", "Succeeded")
    # The triggerer has the trigger once it has logged a count.
    await until(
        lambda: any("1 done" in line for line in api.task_log(BATCH_DAG, run_id, "stars")), _RUN_SECONDS, every=1
    )
    api.set_task_state(BATCH_DAG, run_id, "stars", "failed")
    await until(lambda: cluster.get("kic2-q1")["spec"]["desiredState"] == "Cancel", 60)
    assert cluster.get("kic1-q1")["spec"]["desiredState"] == "Run"


async def test_a_bad_star_is_named_in_the_log(api: AirflowApi, cluster: Cluster) -> None:
    run_id = trigger(api, cluster, "KIC1", "../../etc")
    result = api.wait_run(BATCH_DAG, run_id, _RUN_SECONDS)
    assert result.tasks["stars"] == "failed"
    assert not result.succeeded
    assert "star '../../etc': star:" in "\n".join(api.task_log(BATCH_DAG, run_id, "stars"))
    assert cluster.names() == set()


async def test_every_operator_works_in_a_real_airflow(api: AirflowApi, cluster: Cluster) -> None:
    """A batch, a decorated function that reads its result, one star, and the sensor over all of them."""
    conf = {"stars": ["KIC1"], "namespace": cluster.namespace}
    run_id = api.trigger_dag(LIBRARY_DAG, conf)
    for task_id, star in (("batch", "kic1-q1"), ("chosen", "chosen-q1"), ("one", "one-q1")):
        await watched(api, run_id, LIBRARY_DAG, task_id)
        cluster.set_state(star, "Succeeded", facts={"msap3-03": {"osc_detection_flag": True}})
    result = api.wait_run(LIBRARY_DAG, run_id, _RUN_SECONDS)
    assert result.tasks == dict.fromkeys(("batch", "chosen", "one", "waits"), "success")
    assert cluster.get("chosen-q1")["spec"]["priority"] == 1
    assert result.result["one"]["facts"] == {"msap3-03": {"osc_detection_flag": True}}
    assert result.result["waits"] == {"stars": 3, "states": {"Succeeded": 3}}


async def test_a_restarted_scheduler_changes_nothing(
    service: AirflowService, api: AirflowApi, cluster: Cluster
) -> None:
    run_id = trigger(api, cluster, "KIC1")
    await watched(api, run_id)
    kill(service, "scheduler")
    cluster.set_state("kic1-q1", "Succeeded")
    service.up()
    assert api.wait_run(BATCH_DAG, run_id, _RUN_SECONDS).succeeded
    assert cluster.get("kic1-q1")["spec"]["desiredState"] == "Run"


@pytest.mark.parametrize("rerun", [False, True])
async def test_a_cleared_task_cancels_and_goes_on_where_it_was(api: AirflowApi, cluster: Cluster, rerun: bool) -> None:
    """With `rerun` what had succeeded runs again, without it only what was not done."""
    run_id = api.trigger_dag(LIBRARY_DAG, {"stars": ["KIC1", "KIC2"], "namespace": cluster.namespace, "rerun": rerun})
    await watched(api, run_id, LIBRARY_DAG, "batch")
    cluster.set_state("kic1-q1", "Succeeded")
    clear(api, run_id, "batch")
    await until(lambda: state_of(api, run_id, "batch") == ("deferred", 2), _RUN_SECONDS, every=1)
    await watched(api, run_id, LIBRARY_DAG, "batch", 2)
    assert cluster.get("kic1-q1")["spec"].get("rerun", {}).get("id", 0) == (1 if rerun else 0)
    assert {cluster.get(name)["spec"]["desiredState"] for name in ("kic1-q1", "kic2-q1")} == {"Run"}
    for name in ("kic1-q1", "kic2-q1"):
        rerun_id = cluster.get(name)["spec"].get("rerun", {}).get("id", 0)
        cluster.set_state(name, "Succeeded", rerun=rerun_id)
    await until(lambda: state_of(api, run_id, "batch")[0] == "success", _RUN_SECONDS, every=1)
    assert api.xcom(LIBRARY_DAG, run_id, "batch")["succeeded"] == 2
