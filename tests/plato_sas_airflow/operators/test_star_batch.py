"""The operator and the trigger together on the real API server, without Airflow's own processes."""

import asyncio
import json
import pkgutil
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from plato_sas_airflow.batches.results import BatchResult
from plato_sas_airflow.hooks.star_processing import StarProcessingHook
from plato_sas_airflow.operators.star_batch import StarBatchOperator, StarsFailed
from plato_sas_airflow.operators.star_processing import StarProcessingOperator
from plato_sas_airflow.stars.files import read_stars
from plato_sas_airflow.triggers.star_batch import StarBatchTrigger
from tests.plato_sas_airflow.testbed import KUBECONFIG, Cluster, Task, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
MakeOperator = Callable[..., StarBatchOperator]


@pytest.fixture
def make_operator(connection: str, cluster: Cluster) -> MakeOperator:
    def make(*stars: str, **changes: Any) -> StarBatchOperator:
        given = {
            "task_id": "stars",
            "campaign": "Q1",
            "pipeline": "sas-demo",
            "namespace": cluster.namespace,
            "kubernetes_conn_id": connection,
            "report_seconds": 0.5,
            "rejected_after": timedelta(0),
        }
        return StarBatchOperator(stars=list(stars), **{**given, **changes})

    return make


def context(task: Task) -> Any:
    return {"ti": task}


def execute(operator: StarBatchOperator, task: Task) -> dict[str, Any]:
    return operator.execute(context(task))


def deferred(operator: StarBatchOperator, task: Task) -> StarBatchTrigger:
    """The trigger as the triggerer gets it: through its serialized form."""
    with pytest.raises(TaskDeferred) as caught:
        execute(operator, task)
    assert caught.value.method_name == "execute_complete"
    path, arguments = caught.value.trigger.serialize()
    trigger: StarBatchTrigger = pkgutil.resolve_name(path)(**json.loads(json.dumps(arguments)))
    return trigger


async def fired(trigger: StarBatchTrigger) -> dict[str, Any]:
    payloads = [event.payload async for event in trigger.run()]
    assert len(payloads) == 1
    payload: dict[str, Any] = payloads[0]
    return payload


def test_a_deferred_batch_comes_back_with_its_counts(cluster: Cluster, make_operator: MakeOperator) -> None:
    operator, task = make_operator("KIC1", "KIC2"), Task()
    trigger = deferred(operator, task)
    assert cluster.names() == {"kic1-q1", "kic2-q1"}
    for name in cluster.names():
        cluster.set_state(name, "Succeeded")
    result = operator.execute_complete(context(task), asyncio.run(fired(trigger)))
    assert BatchResult.deserialize(result) == BatchResult(total=2, succeeded=2, failed=0, unfinished=0)


def test_failed_stars_fail_the_task_with_the_result_pushed(cluster: Cluster, make_operator: MakeOperator) -> None:
    operator, task = make_operator("KIC1", "KIC2"), Task()
    trigger = deferred(operator, task)
    cluster.set_state("kic1-q1", "Succeeded")
    cluster.set_state("kic2-q1", "Failed", steps=[{"name": "msap1", "state": "Failed", "exitCode": 4}])
    event = asyncio.run(fired(trigger))
    with pytest.raises(StarsFailed, match="1 of 2 stars succeeded, 1 failed"):
        operator.execute_complete(context(task), event)
    failure = task.pushed["return_value"]["failures"][0]
    assert (failure["star"], failure["step"], failure["exit_code"]) == ("KIC2", "msap1", 4)


def test_a_batch_out_of_time_is_cancelled(cluster: Cluster, make_operator: MakeOperator) -> None:
    operator, task = make_operator("KIC1", timeout=timedelta(seconds=1)), Task()
    event = asyncio.run(fired(deferred(operator, task)))
    with pytest.raises(StarsFailed, match=r"1 had not finished in time \(1 of them cancelled\)"):
        operator.execute_complete(context(task), event)
    assert cluster.get("kic1-q1")["spec"]["desiredState"] == "Cancel"


def test_a_batch_that_was_done_before_does_not_wait(cluster: Cluster, make_operator: MakeOperator) -> None:
    deferred(make_operator("KIC1"), Task())
    cluster.set_state("kic1-q1", "Succeeded")
    assert execute(make_operator("KIC1"), Task(run_id="another"))["succeeded"] == 1


def test_bad_input_fails_the_task_for_good_and_applies_nothing(cluster: Cluster, make_operator: MakeOperator) -> None:
    """What a template renders to is known only now."""
    operator = make_operator("KIC1")
    operator.stars = '["KIC1", "../../etc"]'
    with pytest.raises(AirflowFailException, match=r"star '\.\./\.\./etc': star"):
        execute(operator, Task())
    assert cluster.names() == set()


def test_another_runs_star_with_other_parameters_fails_the_task_and_applies_nothing(
    cluster: Cluster, make_operator: MakeOperator
) -> None:
    deferred(make_operator("KIC1"), Task(run_id="one"))
    other = make_operator("KIC1", "KIC2", parameters={"msap1": {"window": 3.5}})
    with pytest.raises(AirflowFailException, match=r"kic1-q1 is under way for dag-.* with other parameters"):
        execute(other, Task(run_id="two"))
    assert cluster.names() == {"kic1-q1"}


def test_two_runs_over_the_same_star_both_succeed(cluster: Cluster, make_operator: MakeOperator) -> None:
    one, two = (deferred(make_operator("KIC1"), Task(run_id=run)) for run in ("one", "two"))

    async def both() -> list[dict[str, Any]]:
        running = [asyncio.create_task(fired(trigger)) for trigger in (one, two)]
        await asyncio.to_thread(cluster.set_state, "kic1-q1", "Succeeded")
        return await asyncio.gather(*running)

    assert [result["succeeded"] for result in asyncio.run(both())] == [1, 1]


def test_a_cleared_task_with_rerun_runs_finished_stars_again(cluster: Cluster, make_operator: MakeOperator) -> None:
    operator = make_operator("KIC1", "KIC2", rerun=True, retries=1)
    deferred(operator, Task(try_number=1, max_tries=1))
    assert "rerun" not in cluster.get("kic1-q1")["spec"], "there was nothing to run again"
    cluster.set_state("kic1-q1", "Succeeded")
    deferred(operator, Task(try_number=2, max_tries=1))
    assert "rerun" not in cluster.get("kic1-q1")["spec"], "a retry leaves alone what is done"
    deferred(operator, Task(try_number=3, max_tries=3))
    assert cluster.get("kic1-q1")["spec"]["rerun"]["id"] == 1
    assert "rerun" not in cluster.get("kic2-q1")["spec"], "it is under way"


def test_a_cleared_task_without_rerun_runs_only_what_failed(cluster: Cluster, make_operator: MakeOperator) -> None:
    operator = make_operator("KIC1", "KIC2")
    deferred(operator, Task())
    cluster.set_state("kic1-q1", "Succeeded")
    cluster.set_state("kic2-q1", "Failed")
    trigger = deferred(operator, Task(try_number=2, max_tries=1))
    assert "rerun" not in cluster.get("kic1-q1")["spec"]
    assert cluster.get("kic2-q1")["spec"]["rerun"] == {"id": 1, "failed": True}
    cluster.set_state("kic2-q1", "Succeeded", rerun=1)
    assert asyncio.run(fired(trigger))["succeeded"] == 2


def test_some_failures_are_accepted_and_all_are_in_a_file(
    cluster: Cluster, make_operator: MakeOperator, tmp_path: Path
) -> None:
    path = f"file://{tmp_path}/failed.csv"
    operator, task = make_operator("KIC1", "KIC2", max_failed_fraction=0.5, failed_stars_path=path), Task()
    trigger = deferred(operator, task)
    cluster.set_state("kic1-q1", "Succeeded")
    cluster.set_state("kic2-q1", "Failed", steps=[{"name": "msap1", "state": "Failed", "message": "no flux"}])
    result = operator.execute_complete(context(task), asyncio.run(fired(trigger)))
    assert (result["succeeded"], result["failed"], result["failed_stars_file"]) == (1, 1, path)
    assert [star.name for star in read_stars(path)] == ["KIC2"]


def test_the_namespace_may_be_the_connections(
    cluster: Cluster, make_operator: MakeOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"kube_config_path": str(KUBECONFIG), "namespace": cluster.namespace}
    monkeypatch.setenv("AIRFLOW_CONN_WITH_NAMESPACE", json.dumps({"conn_type": "plato_sas", "extra": extra}))
    deferred(make_operator("KIC1", namespace=None, kubernetes_conn_id="with_namespace"), Task())
    assert cluster.names() == {"kic1-q1"}
    ok, message = StarProcessingHook("with_namespace").test_connection()
    assert (ok, cluster.namespace in message) == (True, True)


@pytest.mark.parametrize(("state", "accept"), [("Succeeded", False), ("Failed", True)])
def test_one_star_gives_its_own_results(cluster: Cluster, connection: str, state: str, accept: bool) -> None:
    operator = StarProcessingOperator(
        task_id="star",
        star="KIC1",
        inputs={"DP1_LC_MERGED": {"path": "a/KIC1.h5"}},
        campaign="Q1",
        pipeline="sas-demo",
        namespace=cluster.namespace,
        kubernetes_conn_id=connection,
        accept_failures=accept,
    )
    task = Task(task_id="star")
    with pytest.raises(TaskDeferred) as caught:
        operator.execute(context(task))
    assert cluster.get("kic1-q1")["spec"]["inputs"] == {"DP1_LC_MERGED": {"path": "a/KIC1.h5"}}
    facts = {"msap3-03": {"osc_detection_flag": True}}
    cluster.set_state("kic1-q1", state, facts=facts, steps=[{"name": "msap3-03", "state": state, "exitCode": 3}])
    trigger: Any = caught.value.trigger
    result = operator.execute_complete(context(task), asyncio.run(fired(trigger)))
    failed = state == "Failed"
    assert (result["star"], result["state"], result["facts"]) == ("KIC1", state, facts)
    assert (result["step"], result["exit_code"]) == (("msap3-03", 3) if failed else (None, None))
    assert result["steps"] == {"msap3-03": state}


def test_a_retry_after_a_lost_worker_adopts_what_was_created(cluster: Cluster, make_operator: MakeOperator) -> None:
    deferred(make_operator("KIC1"), Task(try_number=1))
    uid = cluster.get("kic1-q1")["metadata"]["uid"]
    deferred(make_operator("KIC1"), Task(try_number=2))
    found = cluster.get("kic1-q1")
    assert found["metadata"]["uid"] == uid
    assert found["metadata"]["annotations"]["plato-sas.io/claim"].endswith("/2")


def test_without_deferral_the_worker_waits(cluster: Cluster, make_operator: MakeOperator) -> None:
    operator = make_operator("KIC1", deferrable=False)
    results: list[Any] = []
    worker = threading.Thread(target=lambda: results.append(execute(operator, Task())))
    worker.start()
    asyncio.run(until(lambda: "kic1-q1" in cluster.names()))
    cluster.set_state("kic1-q1", "Succeeded")
    worker.join(30)
    assert [one["succeeded"] for one in results] == [1]


def test_a_killed_worker_cancels_its_stars(cluster: Cluster, make_operator: MakeOperator) -> None:
    operator = make_operator("KIC1", "KIC2", deferrable=False)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            execute(operator, Task())
        except AirflowFailException as error:
            errors.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    asyncio.run(until(lambda: len(cluster.names()) == 2))
    cluster.set_state("kic1-q1", "Succeeded")
    operator.on_kill()
    worker.join(30)
    assert [str(error) for error in errors] == ["killed; its unfinished stars were cancelled"]
    states = {name: cluster.get(name)["spec"]["desiredState"] for name in cluster.names()}
    assert states == {"kic1-q1": "Run", "kic2-q1": "Cancel"}


@pytest.mark.parametrize(
    ("state", "desired"), [("failed", "Cancel"), ("success", "Cancel"), (None, "Cancel"), ("deferred", "Run")]
)
def test_a_kill_cancels_unless_the_task_is_still_deferred(
    cluster: Cluster,
    make_operator: MakeOperator,
    monkeypatch: pytest.MonkeyPatch,
    state: str | None,
    desired: str,
) -> None:
    trigger = deferred(make_operator("KIC1"), Task())

    async def present() -> str | None:
        return state

    monkeypatch.setattr(trigger, "_task_state", present)
    asyncio.run(trigger.on_kill())
    assert cluster.get("kic1-q1")["spec"]["desiredState"] == desired


def test_a_kill_goes_on_although_airflow_cancels_it_again(
    cluster: Cluster, make_operator: MakeOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    trigger = deferred(make_operator("KIC1"), Task())
    asked, answered = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        asked.set()
        await answered.wait()
        return "failed"

    monkeypatch.setattr(trigger, "_task_state", slow)

    async def kill() -> None:
        killing = asyncio.create_task(trigger.on_kill())
        await asked.wait()
        for _ in range(3):
            killing.cancel("user-action")
            await asyncio.sleep(0)
        answered.set()
        await killing

    asyncio.run(kill())
    assert cluster.get("kic1-q1")["spec"]["desiredState"] == "Cancel"


def test_a_kill_of_unknown_cause_leaves_the_stars_running(cluster: Cluster, make_operator: MakeOperator) -> None:
    trigger = deferred(make_operator("KIC1"), Task())
    asyncio.run(trigger.on_kill())  # outside of a triggerer nobody knows the task's state
    assert cluster.get("kic1-q1")["spec"]["desiredState"] == "Run"
