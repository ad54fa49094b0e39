"""Apply, follow and cancel batches on the real API server; the tests write the status as the operator would."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from kubernetes_asyncio.client.exceptions import ApiException

from plato_sas_airflow.batches.adoption import Action, RerunRequest
from plato_sas_airflow.batches.applying import apply_batch, cancel_batch
from plato_sas_airflow.batches.batch import Batch
from plato_sas_airflow.batches.following import BatchFollower
from plato_sas_airflow.batches.results import BatchResult
from plato_sas_airflow.errors import ApplyError
from plato_sas_airflow.hooks.star_processing import StarProcessingHook
from plato_sas_airflow.kube import client as client_module
from plato_sas_airflow.kube.client import StarProcessingClient
from plato_sas_airflow.kube.resource import Resource
from tests.plato_sas_airflow.testbed import Cluster, Listening, failed_stars, until

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
    assert await apply_batch(client, batch) == {Action.ADOPT: 1, Action.CREATE: 1}
    uids = {name: cluster.get(name)["metadata"]["uid"] for name in cluster.names()}
    assert uids.keys() == {"kic1-q1", "kic2-q1"}
    assert await apply_batch(client, batch) == {Action.ADOPT: 2}
    assert {name: cluster.get(name)["metadata"]["uid"] for name in cluster.names()} == uids
    assert cluster.get("kic1-q1")["metadata"]["labels"]["plato-sas.io/batch"] == batch.id


async def test_a_finished_star_counts_at_once_and_of_a_failed_one_what_failed_runs_again(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    await apply_batch(client, make_batch("KIC1", "KIC2", "KIC3"))
    cluster.set_state("kic1-q1", "Succeeded")
    cluster.set_state("kic2-q1", "Failed")
    failed = cluster.get("kic2-q1")["metadata"]["uid"]
    again = make_batch("KIC1", "KIC2", "KIC3", id="batch-b")
    assert await apply_batch(client, again) == {Action.ADOPT: 2, Action.RERUN: 1}
    rerun = cluster.get("kic2-q1")
    assert rerun["metadata"]["uid"] == failed, "nothing is deleted"
    assert rerun["spec"]["rerun"] == {"id": 1, "failed": True}
    async with following(client, again) as (follower, task, _log):
        await until(lambda: follower.progress.unfinished == ["kic2-q1", "kic3-q1"])
        cluster.set_state("kic2-q1", "Failed")  # as the operator would before it has taken the rerun up
        cluster.set_state("kic3-q1", "Succeeded")
        await until(lambda: follower.progress.unfinished == ["kic2-q1"])
        cluster.set_state("kic2-q1", "Succeeded", rerun=1)
        assert (await task).succeeded == 3


async def test_a_wish_reruns_every_star_once(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    batch, request = make_batch("KIC1", "KIC2"), RerunRequest("batch-a/0", ("msap3-03",))
    await apply_batch(client, batch)
    cluster.set_state("kic1-q1", "Succeeded")
    cluster.set_state("kic2-q1", "Succeeded")
    assert await apply_batch(client, batch, request) == {Action.RERUN: 2}
    assert cluster.get("kic1-q1")["spec"]["rerun"] == {"id": 1, "from": ["msap3-03"], "failed": False}
    cluster.set_state("kic1-q1", "Succeeded", rerun=1)
    cluster.set_state("kic2-q1", "Failed", rerun=1)
    assert await apply_batch(client, batch, request) == {Action.ADOPT: 1, Action.RERUN: 1}, "a retry of the same task"
    assert cluster.get("kic2-q1")["spec"]["rerun"] == {"id": 2, "failed": True}
    cluster.set_state("kic2-q1", "Succeeded", rerun=2)
    assert await apply_batch(client, batch, RerunRequest("batch-a/2")) == {Action.RERUN: 2}, "the task was cleared"
    assert await apply_batch(client, batch) == {Action.ADOPT: 2}, "a rerun cannot be taken away"


async def test_other_parameters_are_refused_to_another_batch_and_changed_for_the_same(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    work: dict[str, Any] = {"parameters": {"msap1": {"window": "2"}}}
    await apply_batch(client, make_batch("KIC1", "KIC2"))
    cluster.set_state("kic1-q1", "Succeeded")
    with pytest.raises(ApplyError, match=r"kic1-q1 is there \(succeeded\).*kic2-q1 is under way for batch-a") as caught:
        await apply_batch(client, make_batch("KIC1", "KIC2", "KIC3", id="batch-b", **work))
    assert not caught.value.transient
    assert cluster.names() == {"kic1-q1", "kic2-q1"}, "nothing was applied"
    assert await apply_batch(client, make_batch("KIC1", "KIC2", **work)) == {Action.RERUN: 2}
    assert cluster.get("kic1-q1")["spec"]["parameters"] == work["parameters"]


async def test_a_rerun_takes_away_what_somebody_else_has_set(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    """Parameters and the steps of a rerun by kubectl, whose fields server-side apply would leave."""
    cluster.create("kic1-q1", "KIC1")
    cluster.patch("kic1-q1", {"spec": {"parameters": {"msap1": {"window": 2}}, "rerun": {"id": 3, "from": ["msap1"]}}})
    cluster.set_state("kic1-q1", "Failed", rerun=3)
    batch, request = make_batch("KIC1"), RerunRequest("batch-a/0")
    assert await apply_batch(client, batch, request) == {Action.RERUN: 1}
    spec = cluster.get("kic1-q1")["spec"]
    assert "parameters" not in spec
    assert spec["rerun"] == {"id": 4, "failed": False}
    cluster.set_state("kic1-q1", "Failed", rerun=4)
    assert await apply_batch(client, batch, request) == {Action.RERUN: 1}
    assert cluster.get("kic1-q1")["spec"]["rerun"] == {"id": 5, "failed": True}


async def test_a_star_that_is_being_deleted_may_be_tried_again(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    await apply_batch(client, make_batch("KIC1"))
    cluster.patch("kic1-q1", {"metadata": {"finalizers": ["plato-sas.io/test"]}})
    cluster.delete("kic1-q1")
    try:
        with pytest.raises(ApplyError, match="is being deleted") as caught:
            await apply_batch(client, make_batch("KIC1"))
        assert caught.value.transient
    finally:
        cluster.patch("kic1-q1", {"metadata": {"finalizers": None}})


async def test_a_rejected_star_heals_or_fails_after_its_grace(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    batch = make_batch("KIC1", "KIC2")
    await apply_batch(client, batch)
    condition = {
        "type": "Accepted",
        "status": "False",
        "reason": "PipelineNotFound",
        "message": "there is no StarPipeline sas-demo",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    async with following(client, batch, rejected_seconds=5.0) as (_, task, log):
        for name in ("kic1-q1", "kic2-q1"):
            cluster.set_state(name, "Rejected", conditions=[condition])
        await until(lambda: "KIC2: Rejected, PipelineNotFound; it fails unless" in log.text)
        cluster.set_state("kic1-q1", "Succeeded", conditions=[])
        result = await task
    assert (result.succeeded, failed_stars(result)) == (1, {"KIC2": "Rejected"})
    assert result.failures[0].message == "there is no StarPipeline sas-demo"


async def test_an_immutable_field_that_differs_is_named_and_nothing_is_applied(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    cluster.create("kic1-q1", "KIC1", pipeline="other")
    with pytest.raises(ApplyError, match="kic1-q1 exists with pipeline 'other' and this batch wants 'sas-demo'"):
        await apply_batch(client, make_batch("KIC1", "KIC2"))
    assert cluster.names() == {"kic1-q1"}


async def test_what_the_server_refuses_is_named(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    with pytest.raises(ApplyError, match=r"kic1-q1 is refused: .*not found"):
        await apply_batch(client, make_batch("KIC1", namespace=f"{cluster.namespace}-absent"))


async def test_a_users_suspension_survives_adoption(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    batch = make_batch("KIC1")
    await apply_batch(client, batch)
    cluster.patch("kic1-q1", {"spec": {"desiredState": "Suspend"}})
    await apply_batch(client, batch)
    assert cluster.get("kic1-q1")["spec"]["desiredState"] == "Suspend"


async def test_a_batch_is_followed_to_its_end(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    batch = make_batch("KIC1", "KIC2")
    await apply_batch(client, batch)
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
    assert "KIC2: Failed, step msap1, exit code 3" in log.text
    assert result.failures[0].text() == "KIC2: Failed, step msap1, exit code 3\n    DP1_LC_MERGED: no flux"
    assert log.lines[-1] == "2/2 stars: 1 done, 1 failed"


async def test_a_deleted_star_is_a_failure(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    batch = make_batch("KIC1", "KIC2", "KIC3")
    await apply_batch(client, batch)
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
    await apply_batch(client, batch)
    async with following(client, batch) as (_, task, log):
        await until(lambda: bool(log.lines))
        cluster.patch("kic1-q1", {"spec": {"parameters": {"msap1": {"window": 2}}}})
        assert failed_stars(await task) == {"KIC1": "Changed"}


async def test_the_watch_resumes_where_its_stream_ended(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams of one second: the batch is listed once, and what happens between two streams is not lost."""
    lists: list[str] = []
    pages = client.pages

    def counted(namespace: str, selector: str, fields: str = "") -> Any:
        lists.append(selector)
        return pages(namespace, selector, fields)

    monkeypatch.setattr(client, "pages", counted)
    versions: list[str] = []
    watch = client.watch

    def recorded(namespace: str, selector: str, resource_version: str, seconds: int, fields: str = "") -> Any:
        versions.append(resource_version)
        return watch(namespace, selector, resource_version, seconds, fields)

    monkeypatch.setattr(client, "watch", recorded)
    batch = make_batch("KIC1", "KIC2")
    await apply_batch(client, batch)
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
    await apply_batch(client, batch)
    cluster.set_state("kic1-q1", "Succeeded")
    async with following(client, batch, resource_version="1") as (_, task, log):
        assert (await task).succeeded == 1
    assert "listing again" in log.text


async def test_the_same_batch_in_another_process_finds_the_same_stars(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    batch = make_batch("KIC1", "KIC2")
    await apply_batch(client, batch)
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
    await apply_batch(client, first)
    async with following(client, first) as (_, one, log):
        await until(lambda: bool(log.lines))
        await apply_batch(client, second)
        await until(lambda: "now belongs to the batch batch-b" in log.text)
        assert await cancel_batch(client, first) == 0, "the first may not cancel what the second has adopted"
        async with following(client, second) as (_, other, _log):
            cluster.set_state("kic1-q1", "Succeeded")
            assert (await one).succeeded == (await other).succeeded == 1


async def test_cancel_reaches_the_unfinished_stars_of_this_try_alone(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    first = make_batch("KIC1", "KIC2", "KIC3")
    await apply_batch(client, first)
    cluster.set_state("kic1-q1", "Succeeded")
    await apply_batch(client, make_batch("KIC2", try_number=2))
    assert await cancel_batch(client, first) == 1
    states = {name: cluster.get(name)["spec"]["desiredState"] for name in cluster.names()}
    assert states == {"kic1-q1": "Run", "kic2-q1": "Run", "kic3-q1": "Cancel"}


async def test_a_batch_that_runs_out_of_time_says_what_is_unfinished(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    batch = make_batch("KIC1", "KIC2")
    await apply_batch(client, batch)
    cluster.set_state("kic1-q1", "Succeeded")
    result = await BatchFollower(client, batch, Listening()).follow(1.0)
    assert (result.succeeded, result.unfinished, result.timed_out) == (1, 1, True)


async def test_hundreds_of_stars_are_applied_and_cancelled_in_a_window(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch
) -> None:
    batch = make_batch(*(f"T{number}" for number in range(300)))
    assert await apply_batch(client, batch) == {Action.CREATE: 300}
    assert await cancel_batch(client, batch) == 300


@pytest.mark.parametrize("how", ["listed", "one by one", "the list is forgotten"])
async def test_many_stars_are_found_whoever_has_made_them(
    client: StarProcessingClient, cluster: Cluster, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """By a list where that is cheaper, else one by one."""
    asked: list[str] = []
    get, page = client.get, client._page

    async def counted(name: str, namespace: str) -> Resource | None:
        asked.append(name)
        return await get(name, namespace)

    async def forgotten(namespace: str, token: str) -> Any:
        if token:
            raise ApiException(status=410)
        return await page(namespace, token=token)

    monkeypatch.setattr(client, "get", counted)
    monkeypatch.setattr(client_module, "_PAGE", 2)
    if how == "one by one":
        monkeypatch.setattr(client_module, "_LISTED_PER_GET", 0)
    elif how == "the list is forgotten":
        monkeypatch.setattr(client, "_page", forgotten)
    cluster.create("kic1-q1", "KIC1")
    cluster.create("kic7-q2", "KIC7", campaign="Q2")
    await apply_batch(client, make_batch("KIC60", "KIC61"))
    asked.clear()
    wanted = make_batch(*(f"KIC{number}" for number in range(61))).names()
    found = await client.get_many(wanted, cluster.namespace)
    assert set(found) == set(wanted)
    there = {name: one["spec"]["star"] for name, one in found.items() if one is not None}
    assert there == {"kic1-q1": "KIC1", "kic60-q1": "KIC60"}
    assert sorted(asked) == ([] if how == "listed" else sorted(wanted))


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
