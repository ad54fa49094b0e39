"""Apply, follow and cancel batches on the real API server; the tests write the status as the operator would."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from airflow_testbed import Cluster, Listening, failed_stars, until
from plato_sas_airflow.adoption import Action
from plato_sas_airflow.batch import Batch
from plato_sas_airflow.client import ApplyError, StarProcessingClient
from plato_sas_airflow.following import BatchFollower
from plato_sas_airflow.hooks.star_processing import StarProcessingHook
from plato_sas_airflow.progress import BatchResult

pytestmark = [pytest.mark.integration, pytest.mark.asyncio, pytest.mark.timeout(120)]
MakeBatch = Callable[..., Batch]


@pytest_asyncio.fixture
async def client(connection: str) -> AsyncIterator[StarProcessingClient]:
    async with StarProcessingHook(connection).client() as opened:
        yield opened


@asynccontextmanager
async def following(
    client: StarProcessingClient, batch: Batch, **options: Any
) -> AsyncIterator[tuple[BatchFollower, "asyncio.Task[BatchResult]", Listening]]:
    """A follower at work; it is stopped at the end if it has not ended."""
    log = Listening()
    resource_version = options.pop("resource_version", None)
    follower = BatchFollower(client, batch, log, report_seconds=0.2, **options)
    task = asyncio.create_task(follower.follow(60, resource_version))
    try:
        yield follower, task, log
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_create_is_idempotent_and_adopts_what_is_there(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    cluster.create("kic1-q1", "KIC1")
    batch = make_batch("KIC1", "KIC2")
    assert await client.apply_batch(batch) == {Action.ADOPT: 1, Action.CREATE: 1}
    uids = {name: cluster.get(name)["metadata"]["uid"] for name in cluster.names()}
    assert uids.keys() == {"kic1-q1", "kic2-q1"}
    assert await client.apply_batch(batch) == {Action.ADOPT: 2}
    assert {name: cluster.get(name)["metadata"]["uid"] for name in cluster.names()} == uids
    assert cluster.get("kic1-q1")["metadata"]["labels"]["plato-sas.io/batch"] == batch.id


async def test_a_finished_star_counts_at_once_and_a_failed_one_is_processed_again(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    await client.apply_batch(make_batch("KIC1", "KIC2", "KIC3"))
    cluster.set_state("kic1-q1", "Succeeded")
    cluster.set_state("kic2-q1", "Failed")
    failed = cluster.get("kic2-q1")["metadata"]["uid"]
    again = make_batch("KIC1", "KIC2", "KIC3", id="batch-b")
    assert await client.apply_batch(again) == {Action.ADOPT: 2, Action.REPLACE: 1}
    assert cluster.get("kic2-q1")["metadata"]["uid"] != failed
    async with following(client, again) as (follower, _, _log):
        await until(lambda: follower.progress.unfinished == ["kic2-q1", "kic3-q1"])


async def test_an_immutable_field_that_differs_is_named_and_nothing_is_applied(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    cluster.create("kic1-q1", "KIC1", pipeline="other")
    with pytest.raises(ApplyError, match="kic1-q1 exists with pipeline 'other' and this batch wants 'sas-demo'"):
        await client.apply_batch(make_batch("KIC1", "KIC2"))
    assert cluster.names() == {"kic1-q1"}


async def test_what_the_server_refuses_is_named(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    with pytest.raises(ApplyError, match=r"kic1-q1 is refused: .*not found"):
        await client.apply_batch(make_batch("KIC1", namespace=f"{cluster.namespace}-absent"))


async def test_a_users_suspension_survives_adoption(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    batch = make_batch("KIC1")
    await client.apply_batch(batch)
    cluster.patch("kic1-q1", {"spec": {"desiredState": "Suspend"}})
    await client.apply_batch(batch)
    assert cluster.get("kic1-q1")["spec"]["desiredState"] == "Suspend"


async def test_a_batch_is_followed_to_its_end(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    batch = make_batch("KIC1", "KIC2")
    await client.apply_batch(batch)
    async with following(client, batch) as (follower, task, log):
        await until(lambda: "2 unseen" in log.text or "2 pending" in log.text)
        cluster.set_state("kic1-q1", "Succeeded", observed=0)
        cluster.set_state("kic2-q1", "Running")
        await until(lambda: "1 pending, 1 running" in log.text or "1 running, 1 succeeded" in log.text)
        assert not task.done(), "a state of an older generation must not count"
        cluster.set_state("kic1-q1", "Succeeded")
        await until(lambda: follower.progress.unfinished == ["kic2-q1"])
        step = {"name": "msap1", "state": "Failed", "exitCode": 3, "message": "DP1_LC_MERGED: no flux"}
        cluster.set_state("kic2-q1", "Failed", steps=[step])
        result = await task
    assert (result.succeeded, result.failed, result.unfinished) == (1, 1, 0)
    assert "KIC2: Failed, step msap1, exit code 3\n    DP1_LC_MERGED: no flux" in log.text
    assert log.lines[-1] == "2/2 stars: 1 done, 1 failed"


async def test_a_deleted_star_is_a_failure(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    batch = make_batch("KIC1", "KIC2", "KIC3")
    await client.apply_batch(batch)
    cluster.delete("kic1-q1")  # before anybody looks
    async with following(client, batch) as (follower, task, _log):
        await until(lambda: follower.progress.unfinished == ["kic2-q1", "kic3-q1"])
        cluster.delete("kic2-q1")  # under the watch
        await until(lambda: follower.progress.unfinished == ["kic3-q1"])
        cluster.set_state("kic3-q1", "Succeeded")
        result = await task
    assert failed_stars(result) == {"KIC1": "Deleted", "KIC2": "Deleted"}
    assert result.succeeded == 1


async def test_a_star_given_other_work_is_a_failure(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    batch = make_batch("KIC1")
    await client.apply_batch(batch)
    async with following(client, batch) as (_, task, log):
        await until(lambda: bool(log.lines))
        cluster.patch("kic1-q1", {"spec": {"parameters": {"msap1": {"window": 2}}}})
        assert failed_stars(await task) == {"KIC1": "Changed"}


async def test_the_watch_resumes_where_its_stream_ended(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams of one second: the batch is listed once, and what happens between two streams is not lost."""
    lists: list[str] = []
    select = client.select

    async def counted(namespace: str, selector: str) -> Any:
        lists.append(selector)
        return await select(namespace, selector)

    monkeypatch.setattr(client, "select", counted)
    versions: list[str] = []
    watch = client.watch

    def recorded(namespace: str, selector: str, resource_version: str, seconds: int) -> Any:
        versions.append(resource_version)
        return watch(namespace, selector, resource_version, seconds)

    monkeypatch.setattr(client, "watch", recorded)
    batch = make_batch("KIC1", "KIC2")
    await client.apply_batch(batch)
    async with following(client, batch, watch_seconds=1) as (follower, task, _log):
        await until(lambda: len(versions) >= 2)
        cluster.set_state("kic1-q1", "Succeeded")
        await until(lambda: follower.progress.unfinished == ["kic2-q1"])
        seen = len(versions)
        await until(lambda: len(versions) > seen + 1)
        cluster.set_state("kic2-q1", "Succeeded")
        assert (await task).succeeded == 2
    assert lists == ["plato-sas.io/batch in (batch-a)"]
    assert len(set(versions)) > 1, "a stream begins where the one before had got to"


async def test_a_version_too_old_leads_to_a_new_list(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    """The server answers 410 to a watch from a resourceVersion that it has compacted away."""
    batch = make_batch("KIC1")
    await client.apply_batch(batch)
    cluster.set_state("kic1-q1", "Succeeded")
    async with following(client, batch, resource_version="1") as (_, task, log):
        assert (await task).succeeded == 1
    assert "listing the batch anew" in log.text


async def test_the_same_batch_in_another_process_finds_the_same_stars(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    batch = make_batch("KIC1", "KIC2")
    await client.apply_batch(batch)
    async with following(client, batch) as (follower, _, _log):
        cluster.set_state("kic1-q1", "Succeeded")
        await until(lambda: follower.progress.unfinished == ["kic2-q1"])
    assert cluster.get("kic2-q1")["spec"]["desiredState"] == "Run", "a restart must not cancel"
    cluster.set_state("kic2-q1", "Succeeded")  # while nobody watches
    async with following(client, Batch.deserialize(batch.serialize())) as (_, task, _log):
        assert (await task).succeeded == 2


async def test_two_batches_over_one_star_both_see_its_end(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    first, second = make_batch("KIC1"), make_batch("KIC1", id="batch-b")
    await client.apply_batch(first)
    async with following(client, first) as (_, one, log):
        await until(lambda: bool(log.lines))
        await client.apply_batch(second)
        await until(lambda: "is now with the batch batch-b" in log.text)
        assert await client.cancel_batch(first) == 0, "the first may not cancel what the second has adopted"
        async with following(client, second) as (_, other, _log):
            cluster.set_state("kic1-q1", "Succeeded")
            assert (await one).succeeded == (await other).succeeded == 1


async def test_cancel_reaches_the_unfinished_stars_of_this_try_alone(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    first = make_batch("KIC1", "KIC2", "KIC3")
    await client.apply_batch(first)
    cluster.set_state("kic1-q1", "Succeeded")
    await client.apply_batch(make_batch("KIC2", try_number=2))
    assert await client.cancel_batch(first) == 1
    states = {name: cluster.get(name)["spec"]["desiredState"] for name in cluster.names()}
    assert states == {"kic1-q1": "Run", "kic2-q1": "Run", "kic3-q1": "Cancel"}


async def test_a_batch_that_runs_out_of_time_says_what_is_unfinished(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    batch = make_batch("KIC1", "KIC2")
    await client.apply_batch(batch)
    cluster.set_state("kic1-q1", "Succeeded")
    result = await BatchFollower(client, batch, Listening()).follow(1.0)
    assert (result.succeeded, result.unfinished, result.timed_out) == (1, 1, True)


async def test_hundreds_of_stars_are_applied_and_cancelled_in_a_window(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    batch = make_batch(*(f"T{number}" for number in range(300)))
    assert await client.apply_batch(batch) == {Action.CREATE: 300}
    assert await client.cancel_batch(batch) == 300


async def test_the_synchronous_hook_works_inside_an_event_loop(
    connection: str, cluster: Cluster, make_batch: MakeBatch
) -> None:
    hook = StarProcessingHook(connection)
    assert hook.apply_batch(make_batch("KIC1")) == {Action.CREATE: 1}
    found = hook.get("kic1-q1", cluster.namespace)
    assert found is not None
    assert found["spec"]["star"] == "KIC1"
    assert hook.get("absent", cluster.namespace) is None
    assert hook.cancel_batch(make_batch("KIC1")) == 1
