"""A real Airflow with its scheduler and triggerer; the tests write the stars' status as the operator would."""

import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_testbed import KUBECONFIG, LOCAL, Cluster, until
from e2e.airflow import AirflowApi, AirflowService
from e2e.airflow.service import DEMO_DAG
from e2e.airflow.settings import Home

pytestmark = [pytest.mark.integration, pytest.mark.asyncio, pytest.mark.timeout(600)]
_RUN_SECONDS = 240.0


@pytest.fixture(scope="module")
def service() -> Iterator[AirflowService]:
    """An Airflow apart from the demo's; its database is kept for the next time."""
    service = AirflowService(Home(folder=LOCAL / "airflow-tests", kubeconfig=KUBECONFIG))
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
    return api.trigger_dag(DEMO_DAG, conf)


async def watched(api: AirflowApi, run_id: str) -> None:
    """Wait until the trigger has logged its first count.

    A task that is resumed within a second or two of its deferral may be failed by a busy scheduler, which then takes
    the deferral's late report for that of the resumed task ("state mismatch").
    """
    pattern = re.compile(r"\d+/\d+ stars: ")
    await until(
        lambda: any(pattern.match(line) for line in api.task_log(DEMO_DAG, run_id, "stars")), _RUN_SECONDS, every=1
    )


async def test_a_run_counts_its_stars_and_tells_why_one_failed(api: AirflowApi, cluster: Cluster) -> None:
    run_id = trigger(api, cluster, "KIC1", "KIC2")
    await watched(api, run_id)
    cluster.set_state("kic1-q1", "Succeeded")
    step = {"name": "msap1", "state": "Failed", "exitCode": 3, "message": "DP1_LC_MERGED: no flux"}
    cluster.set_state("kic2-q1", "Failed", steps=[step])
    result = api.wait_run(DEMO_DAG, run_id, _RUN_SECONDS)
    assert result.tasks == {"stars": "failed", "summary": "failed"}
    assert not result.succeeded
    counts = result.result["stars"]
    assert (counts["total"], counts["succeeded"], counts["failed"]) == (2, 1, 1)
    log = "\n".join(api.task_log(DEMO_DAG, run_id, "stars"))
    assert "KIC2: Failed, step msap1, exit code 3" in log
    assert "DP1_LC_MERGED: no flux" in log


async def test_a_killed_triggerer_changes_nothing(service: AirflowService, api: AirflowApi, cluster: Cluster) -> None:
    run_id = trigger(api, cluster, "KIC1")
    await watched(api, run_id)
    (triggerer,) = [daemon for daemon in service.daemons if daemon.name == "triggerer"]
    for pid in triggerer.members():
        os.kill(pid, signal.SIGKILL)
    await until(lambda: not triggerer.running())
    cluster.set_state("kic1-q1", "Succeeded")
    service.up()
    assert api.wait_run(DEMO_DAG, run_id, _RUN_SECONDS).succeeded
    assert cluster.get("kic1-q1")["spec"]["desiredState"] == "Run"


async def test_a_task_marked_failed_cancels_its_stars(api: AirflowApi, cluster: Cluster) -> None:
    run_id = trigger(api, cluster, "KIC1", "KIC2")
    await watched(api, run_id)
    cluster.set_state("kic1-q1", "Succeeded")
    # The triggerer has the trigger once it has logged a count.
    await until(
        lambda: any("1 done" in line for line in api.task_log(DEMO_DAG, run_id, "stars")), _RUN_SECONDS, every=1
    )
    api.set_task_state(DEMO_DAG, run_id, "stars", "failed")
    await until(lambda: cluster.get("kic2-q1")["spec"]["desiredState"] == "Cancel", 60)
    assert cluster.get("kic1-q1")["spec"]["desiredState"] == "Run"


async def test_a_bad_star_is_named_in_the_log(api: AirflowApi, cluster: Cluster) -> None:
    run_id = trigger(api, cluster, "KIC1", "../../etc")
    result = api.wait_run(DEMO_DAG, run_id, _RUN_SECONDS)
    assert result.tasks["stars"] == "failed"
    assert not result.succeeded
    assert "star '../../etc': star:" in "\n".join(api.task_log(DEMO_DAG, run_id, "stars"))
    assert cluster.names() == set()
