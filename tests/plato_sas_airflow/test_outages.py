"""An API server that is away, busy or forgetful, and processes that are killed; the API server behind it is real."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from e2e.chaos.proxy import Answer, Cut, FaultProxy, Strike
from e2e.chaos.requests import Request
from e2e.endpoint import Endpoint, endpoint
from plato_sas_airflow.batches.adoption import Action, RerunRequest
from plato_sas_airflow.batches.applying import apply_batch, cancel_batch
from plato_sas_airflow.batches.batch import Batch
from plato_sas_airflow.batches.following import BatchFollower
from plato_sas_airflow.hooks.star_processing import StarProcessingHook
from plato_sas_airflow.operators.star_batch import StarBatchOperator
from plato_sas_airflow.stars.star import Star
from plato_sas_airflow.triggers.star_batch import StarBatchTrigger
from tests.plato_sas_airflow.testbed import KUBECONFIG, REPOSITORY, Cluster, Listening, Task, until

pytestmark = [pytest.mark.integration, pytest.mark.asyncio, pytest.mark.timeout(300)]
MakeBatch = Callable[..., Batch]
AWAY_SECONDS = 120.0


class Proxy(FaultProxy):
    @property
    def streams(self) -> int:
        """Watches that are open."""
        return sum(ending is None for ending in self._streams.values())


@pytest_asyncio.fixture
async def proxy(crds: None) -> AsyncIterator[Proxy]:
    """In front of the API server; clients of it need no credentials."""
    real = endpoint(KUBECONFIG)
    made = Proxy(Endpoint(real.server, real.administrator, real.administrator))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def proxied(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> str:
    """An Airflow connection through the proxy."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "clusters": [{"name": "c", "cluster": {"server": proxy.url}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {}}],
    }
    extra = {"kube_config": json.dumps(config)}
    monkeypatch.setenv("AIRFLOW_CONN_PROXIED", json.dumps({"conn_type": "kubernetes", "extra": extra}))
    return "proxied"


class Away:
    """Breaks every connection while it is on."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._on = False
        self.refused = 0
        proxy.inject(self._judge)

    def begin(self) -> None:
        self._on = True
        self._proxy.cut(Cut.ABORTED)

    def end(self) -> None:
        self._on = False

    def _judge(self, _request: Request) -> Strike | None:
        if not self._on:
            return None
        self.refused += 1
        return Strike(lambda: None, forwarded=False)


async def fired(trigger: StarBatchTrigger) -> dict[str, Any]:
    (payload,) = [event.payload async for event in trigger.run()]
    return dict(payload)


async def test_the_trigger_rides_out_two_minutes_without_an_api_server(
    proxy: Proxy, proxied: str, cluster: Cluster, make_batch: MakeBatch
) -> None:
    batch, away = make_batch("KIC1", "KIC2"), Away(proxy)
    async with StarProcessingHook(proxied).client() as client:
        await apply_batch(client, batch)
    running = asyncio.create_task(fired(StarBatchTrigger(batch.serialize(), proxied)))
    await until(lambda: proxy.streams == 1)
    away.begin()
    began = time.monotonic()
    cluster.set_state("kic1-q1", "Succeeded")  # nobody hears of it
    await until(lambda: time.monotonic() - began >= AWAY_SECONDS, AWAY_SECONDS + 10, every=1)
    assert not running.done()
    assert 4 <= away.refused <= 60, "it asks again, with pauses"
    away.end()
    await until(lambda: proxy.streams == 1, 60)
    cluster.set_state("kic2-q1", "Succeeded")
    async with asyncio.timeout(60):
        assert (await running)["succeeded"] == 2


async def test_applying_rides_out_a_short_absence(
    proxy: Proxy, proxied: str, cluster: Cluster, make_batch: MakeBatch
) -> None:
    batch, away = make_batch(*(f"KIC{number}" for number in range(40))), Away(proxy)
    away.begin()
    async with StarProcessingHook(proxied).client() as client:
        applying = asyncio.create_task(apply_batch(client, batch))
        await until(lambda: away.refused >= 30)
        away.end()
        assert await applying == {Action.CREATE: 40}
    assert len(cluster.names()) == 40


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("forwarded", [False, True])
async def test_refusals_are_waited_out_and_nothing_is_done_twice(
    proxy: Proxy, proxied: str, cluster: Cluster, make_batch: MakeBatch, status: int, forwarded: bool
) -> None:
    """Every third request is refused, before or after it took effect. Every kind of request is among them."""
    asked = 0

    def every_third(request: Request) -> Answer | None:
        nonlocal asked
        asked += 1
        return Answer(status, forwarded, {"Retry-After": "1"}) if asked % 3 == 0 and not request.watch else None

    batch = make_batch(*(f"KIC{number}" for number in range(9)))
    proxy.inject(every_third)
    async with StarProcessingHook(proxied).client() as client:
        assert sum((await apply_batch(client, batch)).values()) == 9
        for name in sorted(cluster.names())[:5]:
            cluster.set_state(name, "Succeeded")
        again = make_batch(*(f"KIC{number}" for number in range(9)), try_number=2)
        await apply_batch(client, again, RerunRequest("batch-a/0"))
        reruns = [cluster.get(name)["spec"].get("rerun", {}).get("id", 0) for name in sorted(cluster.names())]
        assert reruns == [1] * 5 + [0] * 4
        await cancel_batch(client, again)
    assert {cluster.get(name)["spec"]["desiredState"] for name in cluster.names()} == {"Cancel"}


@pytest.mark.parametrize("how", list(Cut))
async def test_a_watch_that_is_cut_goes_on(
    proxy: Proxy, proxied: str, cluster: Cluster, make_batch: MakeBatch, how: Cut
) -> None:
    batch, log = make_batch("KIC1", "KIC2"), Listening()
    async with StarProcessingHook(proxied).client() as client:
        await apply_batch(client, batch)
        follower = BatchFollower(client, batch, log, report_seconds=0.2)
        running = asyncio.create_task(follower.follow(60))
        for name in ("kic1-q1", "kic2-q1"):
            await until(lambda: proxy.streams == 1)
            proxy.cut(how)
            cluster.set_state(name, "Succeeded")
        assert (await running).succeeded == 2
    assert ("listing again" in log.text) is (how is Cut.GONE)


async def test_a_watch_that_says_nothing_any_more_is_given_up(
    proxy: Proxy, proxied: str, cluster: Cluster, make_batch: MakeBatch
) -> None:
    """The connection is open, and nothing comes: a half-open TCP connection after a failover."""
    batch = make_batch("KIC1")
    async with StarProcessingHook(proxied).client() as client:
        await apply_batch(client, batch)
        follower = BatchFollower(client, batch, Listening(), watch_seconds=1)
        running = asyncio.create_task(follower.follow(60))
        await until(lambda: proxy.streams == 1)
        proxy.hold()
        cluster.set_state("kic1-q1", "Succeeded")
        held = proxy.requests
        await until(lambda: proxy.requests > held, 40)
        proxy.clear()
        assert (await running).succeeded == 1


TRIGGER = """
import asyncio, json, sys
from plato_sas_airflow.triggers.star_batch import StarBatchTrigger

async def main():
    async for event in StarBatchTrigger(**json.loads(sys.argv[1])).run():
        print(json.dumps(event.payload), flush=True)

asyncio.run(main())
"""

WORKER = """
import json, os, signal, sys
from tests.plato_sas_airflow.testbed import Task
from plato_sas_airflow.batches import processing
from plato_sas_airflow.operators.star_batch import StarBatchOperator

def killed(*_arguments, **_options):
    os.kill(os.getpid(), signal.SIGKILL)

processing.BatchProcessing._look = killed
StarBatchOperator(**json.loads(sys.argv[1])).execute({"ti": Task()})
"""


def process(code: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=REPOSITORY,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


async def test_a_killed_triggerer_is_replaced_by_another(
    proxy: Proxy, proxied: str, cluster: Cluster, make_batch: MakeBatch
) -> None:
    """The serialized trigger is all that the second process has."""
    batch = make_batch("KIC1", "KIC2")
    async with StarProcessingHook(proxied).client() as client:
        await apply_batch(client, batch)
    arguments = json.dumps(StarBatchTrigger(batch.serialize(), proxied).serialize()[1])
    first = process(TRIGGER, arguments)
    await until(lambda: proxy.streams == 1, 60)
    first.send_signal(signal.SIGKILL)
    assert first.wait(30) == -signal.SIGKILL
    cluster.set_state("kic1-q1", "Succeeded")
    second = process(TRIGGER, arguments)
    await until(lambda: proxy.streams == 1, 60)
    cluster.set_state("kic2-q1", "Succeeded")
    output, _ = await asyncio.to_thread(second.communicate, timeout=60)
    assert json.loads(output.splitlines()[-1])["succeeded"] == 2
    assert {cluster.get(name)["spec"]["desiredState"] for name in cluster.names()} == {"Run"}


async def test_a_worker_lost_between_create_and_defer_leaves_nothing_undone(connection: str, cluster: Cluster) -> None:
    """It is killed when every star is there and no trigger is. Airflow's next try takes them over."""
    given = {
        "task_id": "stars",
        "stars": ["KIC1", "KIC2"],
        "campaign": "Q1",
        "pipeline": "sas-demo",
        "namespace": cluster.namespace,
        "kubernetes_conn_id": connection,
    }
    worker = process(WORKER, json.dumps(given))
    output, _ = await asyncio.to_thread(worker.communicate, timeout=60)
    assert worker.returncode == -signal.SIGKILL, output
    uids = {name: cluster.get(name)["metadata"]["uid"] for name in cluster.names()}
    assert len(uids) == 2
    cluster.set_state("kic1-q1", "Succeeded")
    cluster.set_state("kic2-q1", "Succeeded")
    operator = StarBatchOperator(**given)
    context: Any = {"ti": Task(try_number=2, max_tries=1)}
    result = await asyncio.to_thread(operator.execute, context)
    assert result["succeeded"] == 2
    assert {name: cluster.get(name)["metadata"]["uid"] for name in cluster.names()} == uids


async def test_ten_thousand_stars_in_one_batch(connection: str, cluster: Cluster) -> None:
    """Applied in a window, followed by one trigger with one watch, while a bystander writes ten thousand statuses."""
    number = 10_000
    batch = Batch("large", cluster.namespace, "Q1", "sas-demo", [Star(f"P{one:05d}") for one in range(number)])
    async with StarProcessingHook(connection).client() as client:
        assert await apply_batch(client, batch) == {Action.CREATE: number}
    trigger = StarBatchTrigger(json.loads(json.dumps(batch.serialize())), connection)
    running = asyncio.create_task(fired(trigger))
    await cluster.set_states(batch.names(), lambda name: "Failed" if name.startswith("p0000") else "Succeeded")
    async with asyncio.timeout(120):
        result = await running
    assert (result["total"], result["succeeded"], result["failed"]) == (number, number - 10, 10)
    assert sorted(one["star"] for one in result["failures"]) == [f"P{one:05d}" for one in range(10)]
