"""The sensor on the real API server, deferred and poking; the tests write the status as the operator would."""

import asyncio
import json
import pkgutil
import threading
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, TaskDeferred

from plato_sas_airflow.batches.goal import Goal
from plato_sas_airflow.sensors.star_processing import StarProcessingSensor
from plato_sas_airflow.triggers.star_state import StarStateTrigger
from tests.plato_sas_airflow.testbed import Cluster, Listening, Task, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
MakeSensor = Callable[..., StarProcessingSensor]
CONTEXT: Any = {"ti": Task()}


@pytest.fixture
def make_sensor(connection: str, cluster: Cluster) -> MakeSensor:
    def make(**changes: Any) -> StarProcessingSensor:
        given = {"namespace": cluster.namespace, "kubernetes_conn_id": connection, "poke_interval": 0.2, "timeout": 60}
        return StarProcessingSensor(task_id="wait", **{**given, **changes})

    return make


def waits(sensor: StarProcessingSensor, meanwhile: Callable[[], None]) -> dict[str, Any]:
    """What the sensor returns; `meanwhile` is called while it waits, in the way that it is made for."""
    if not sensor.deferrable:
        results: list[Any] = []

        def work() -> None:
            try:
                results.append(sensor.execute(CONTEXT))
            except Exception as error:
                results.append(error)

        worker = threading.Thread(target=work)
        worker.start()
        meanwhile()
        worker.join(60)
        (result,) = results
        if isinstance(result, Exception):
            raise result
        return dict(result)
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute(CONTEXT)
    path, arguments = caught.value.trigger.serialize()
    trigger = pkgutil.resolve_name(path)(**json.loads(json.dumps(arguments)))

    async def fired() -> dict[str, Any]:
        running = asyncio.create_task(anext(trigger.run()))
        await asyncio.to_thread(meanwhile)
        async with asyncio.timeout(60):
            event = await running
        return dict(event.payload)

    return sensor.execute_complete(CONTEXT, asyncio.run(fired()))


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_star_that_comes_later_is_waited_for(cluster: Cluster, make_sensor: MakeSensor, deferrable: bool) -> None:
    def meanwhile() -> None:
        cluster.create("kic2-q1", "KIC2")
        cluster.set_state("kic2-q1", "Failed")
        cluster.create("kic1-q1", "KIC1")
        cluster.set_state("kic1-q1", "Succeeded", observed=0)
        cluster.set_state("kic1-q1", "Running")
        cluster.set_state("kic1-q1", "Succeeded")

    sensor = make_sensor(star="KIC1", campaign="Q1", deferrable=deferrable)
    assert waits(sensor, meanwhile) == {"stars": 1, "states": {"Succeeded": 1}}


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_stars_of_a_label_and_one_of_their_steps(
    cluster: Cluster, make_sensor: MakeSensor, deferrable: bool
) -> None:
    def meanwhile() -> None:
        for number, state in ((1, "Succeeded"), (2, "Reused")):
            name = f"kic{number}-q1"
            cluster.create(name, f"KIC{number}")
            cluster.patch(name, {"metadata": {"labels": {"sample": "p1"}}})
            cluster.set_state(name, "Running", steps=[{"name": "msap1", "state": state}])

    sensor = make_sensor(label_selector="sample=p1", minimum=2, step="msap1", deferrable=deferrable)
    assert waits(sensor, meanwhile) == {"stars": 2, "states": {"Succeeded": 1, "Reused": 1}}


@pytest.mark.parametrize("deferrable", [True, False])
def test_another_end_fails_the_sensor(cluster: Cluster, make_sensor: MakeSensor, deferrable: bool) -> None:
    cluster.create("kic1-q1", "KIC1")
    with pytest.raises(AirflowFailException, match="kic1-q1: Cancelled"):
        waits(make_sensor(name="kic1-q1", deferrable=deferrable), lambda: cluster.set_state("kic1-q1", "Cancelled"))


def test_a_star_deleted_under_it_fails_the_sensor(cluster: Cluster, make_sensor: MakeSensor) -> None:
    cluster.create("kic1-q1", "KIC1")
    sensor = make_sensor(name="kic1-q1", deferrable=False)

    def meanwhile() -> None:
        asyncio.run(until(lambda: sensor._seen is not None and bool(sensor._seen.states)))
        cluster.delete("kic1-q1")

    with pytest.raises(AirflowFailException, match="kic1-q1: Deleted"):
        waits(sensor, meanwhile)


async def test_a_star_deleted_under_the_trigger_fails_it(
    cluster: Cluster, connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.create("kic1-q1", "KIC1")
    goal = Goal.of().serialize()
    trigger = StarStateTrigger(cluster.namespace, goal, connection, name="kic1-q1", report_seconds=0.1)
    log = Listening()
    monkeypatch.setattr(StarStateTrigger, "log", log)
    running = asyncio.create_task(anext(trigger.run()))
    await until(lambda: "{'Unknown': 1}" in log.text)
    cluster.delete("kic1-q1")
    async with asyncio.timeout(30):
        event = await running
    assert event.payload["problem"] == "kic1-q1: Deleted"


def test_poking_ends_in_time(make_sensor: MakeSensor) -> None:
    with pytest.raises(AirflowSensorTimeout):
        waits(make_sensor(name="absent", deferrable=False, timeout=1), lambda: None)
