"""What goes, and when: Jobs after their logs are kept, stars after their records are archived."""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from plato_sas.controller.keeping import archive
from plato_sas.controller.kube.client import ApiError
from plato_sas.controller.kube.resources import JOB, PROCESSING, REVISION, WATCHED, Kind
from plato_sas.controller.metrics import LOGS_WAITING
from plato_sas.controller.operator import Operator
from plato_sas.controller.settings import Settings
from tests.support.cluster import FakeCluster
from tests.support.operator import JOB_TTL, SITE, OneOperator, at_rest, drive, gone
from tests.support.samples import dag


def cluster(time: float = 1_900_000_000.0, **spec: Any) -> FakeCluster:
    made = FakeCluster(time)
    made.catalogue(*dag({"a": [], "b": ["a"]}))
    made.star("kic1", **spec)
    return made


def records(volume: Path) -> list[dict[str, Any]]:
    file = volume / ".archive" / "q1.jsonl"
    return list(archive.read(file)) if file.exists() else []


def lines(volume: Path) -> int:
    return len((volume / ".archive" / "q1.jsonl").read_text().splitlines())


def ended(world: FakeCluster) -> str:
    """The name of the one Job, which has run to its end."""
    (job,) = world.active_jobs()
    world.finish(job)
    return job


# Jobs


def test_a_job_goes_when_its_outcome_is_stored_its_log_is_kept_and_its_time_is_over() -> None:
    world = cluster()

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.reconcile()
        job = ended(world)
        await operator.reconcile()
        assert world.status("kic1")["state"] == "Succeeded"
        assert operator.files == {}, "nothing is asked for before the outcome is stored"
        world.advance(10 * JOB_TTL)
        for _ in range(3):
            assert await operator.reconcile() is None, "whoever keeps the log says when it is there"
        assert job in world.all(JOB)
        operator.logs.work()
        assert operator.marked[-1] == "kic1"
        await operator.reconcile()
        assert not world.all(JOB)
        assert operator.files == {job: [f"{job}-pod"]}

    asyncio.run(scenario())


def test_a_job_stays_as_long_as_it_should() -> None:
    world = cluster()

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.reconcile()
        ended(world)
        await operator.reconcile()
        await operator.reconcile()
        operator.logs.work()
        left = await operator.reconcile()
        assert left is not None
        assert 0 < left < JOB_TTL
        assert world.all(JOB)
        world.advance(left)
        await operator.reconcile()
        assert not world.all(JOB)

    asyncio.run(scenario())


def test_a_job_that_left_steps_unpublished_stays_until_they_are(tmp_path: Path) -> None:
    world = cluster()
    world.kubelet.exit_codes["b"] = [2]

    async def scenario() -> None:
        operator = OneOperator(world, archive=tmp_path)
        await operator.reconcile()
        first = ended(world)
        left = tmp_path / "q1" / "kic1" / ".attempts" / first
        (left / "a").mkdir(parents=True)
        for _ in range(4):
            world.advance(JOB_TTL)
            await operator.reconcile()
            operator.logs.work()
        (salvage,) = world.active_jobs()
        assert "salvage" in salvage
        assert first in world.all(JOB)
        assert left.exists()
        await drive(world, operator)
        assert not left.exists(), "what is unpublished then is of no use"

    asyncio.run(scenario())
    assert {one["name"]: one["state"] for one in world.status("kic1")["steps"]} == {"a": "Succeeded", "b": "Failed"}


def test_what_cannot_be_removed_from_the_volume_does_not_keep_the_job(tmp_path: Path) -> None:
    world = cluster()

    async def scenario() -> None:
        operator = OneOperator(world, archive=tmp_path)
        await operator.reconcile()
        (job,) = world.active_jobs()
        elsewhere = tmp_path / "elsewhere"
        (elsewhere / job).mkdir(parents=True)
        (tmp_path / "q1" / "kic1").mkdir(parents=True)
        (tmp_path / "q1" / "kic1" / ".attempts").symlink_to(elsewhere)
        await drive(world, operator)
        assert (elsewhere / job).exists(), "links are not followed"

    asyncio.run(scenario())
    assert not world.all(JOB)


def test_a_star_deleted_while_its_log_is_being_kept_is_simply_gone() -> None:
    world = cluster()

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.reconcile()
        job = ended(world)
        await operator.reconcile()
        await operator.reconcile()
        world.remove(PROCESSING, "kic1")
        operator.logs.work()
        assert await operator.reconcile() is None
        world.collect_garbage()
        world.star("kic1")  # and comes back
        await drive(world, operator)
        assert job not in world.all(JOB)

    asyncio.run(scenario())
    assert world.status("kic1")["state"] == "Succeeded"
    assert len(set(world.jobs_created)) == 2


# Stars


def test_a_finished_star_is_archived_and_deleted_when_its_time_is_over(tmp_path: Path) -> None:
    world = cluster(ttl="2h")

    async def scenario() -> None:
        operator = OneOperator(world, archive=tmp_path)
        await drive(world, operator)
        left = await operator.reconcile()
        assert left is not None
        assert 0 < left <= 7200
        assert not records(tmp_path)
        await drive(world, operator, until=gone)

    asyncio.run(drive(world, OneOperator(world, archive=tmp_path)))
    status = world.status("kic1")
    uid = world.all(PROCESSING)["kic1"]["metadata"]["uid"]
    asyncio.run(scenario())
    (record,) = records(tmp_path)
    assert (record["uid"], record["name"], record["status"]) == (uid, "kic1", status)


@pytest.mark.parametrize("state", ["Suspend", "Cancel"])
def test_only_a_star_that_has_ended_leaves(state: str, tmp_path: Path) -> None:
    world = cluster(ttl="1s", desiredState=state)

    async def scenario() -> None:
        operator = OneOperator(world, archive=tmp_path)
        for _ in range(5):
            await operator.reconcile()
            world.advance(100)

    asyncio.run(scenario())
    assert [one["status"]["state"] for one in records(tmp_path)] == (["Cancelled"] if state == "Cancel" else [])
    assert bool(world.all(PROCESSING)) == (state == "Suspend")


def test_an_archive_that_fails_is_tried_again_ever_more_slowly_and_quietly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = cluster(ttl="1s")
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / ".archive").write_text("in the way")
    caplog.set_level(logging.WARNING)

    async def scenario() -> None:
        operator = OneOperator(world, archive=volume)
        await drive(world, operator)
        pauses = []
        for _ in range(20):
            pause = await operator.reconcile()
            assert pause is not None
            pauses.append(pause)
        assert pauses[1] == 2 * pauses[0]
        assert pauses[-1] == 300.0
        (volume / ".archive").unlink()
        await drive(world, operator, until=gone)

    asyncio.run(scenario())
    warnings = [one for one in caplog.records if "cannot be archived" in one.message]
    assert 0 < len(warnings) <= 5
    assert not [one for one in caplog.records if one.exc_info]
    assert len(records(volume)) == 1


def test_a_star_that_is_archived_but_cannot_be_deleted_is_archived_again_and_told_once(tmp_path: Path) -> None:
    world = cluster(ttl="1s")
    times = 2

    def refuse(verb: str, kind: Kind, name: str) -> ApiError | None:
        nonlocal times
        if (verb, kind) != ("delete", PROCESSING) or times == 0:
            return None
        times -= 1
        return ApiError(503, "not now")

    world.refuse = refuse

    async def scenario() -> None:
        await drive(world, OneOperator(world, archive=tmp_path), until=gone)

    asyncio.run(scenario())
    assert lines(tmp_path) == 3
    assert len(records(tmp_path)) == 1


def test_a_star_that_is_to_run_again_in_the_last_moment_stays(tmp_path: Path) -> None:
    """The record is written, and the spec changes before the deletion."""
    world = cluster(ttl="1h")

    async def scenario() -> None:
        operator = OneOperator(world, archive=tmp_path)
        await drive(world, operator)
        world.advance(3600)
        delete = world.delete

        async def meanwhile(kind: Kind, name: str, *rest: Any) -> None:
            world.delete = delete  # type: ignore[method-assign]
            world.star(name, rerun={"id": 1})
            await delete(kind, name, *rest)

        world.delete = meanwhile  # type: ignore[method-assign, assignment]
        await operator.reconcile()
        assert world.status("kic1")["state"] == "Succeeded"
        assert lines(tmp_path) == 1
        await operator.reconcile()
        assert world.status("kic1")["state"] == "Running"
        await drive(world, operator, until=gone)

    asyncio.run(scenario())
    (record,) = records(tmp_path)
    assert record["status"]["rerun"] == 1, "the last record counts"
    assert len(world.jobs_created) == 3, "the run, the check of what was published before, and the rerun"


def test_while_the_archive_is_slow_a_star_is_asked_for_once_and_holds_up_nobody(tmp_path: Path) -> None:
    world = cluster(ttl="1h")
    world.star("kic2")
    asyncio.run(drive(world, OneOperator(world)))
    world.advance(3600)

    async def scenario() -> None:
        operator = OneOperator(world, archive=tmp_path)
        retention: Any = operator.reconciler._retention
        answer, appended = asyncio.Event(), list[str]()

        async def append(campaign: str, record: dict[str, Any]) -> None:
            appended.append(record["name"])
            await answer.wait()

        retention._archive.append = append
        for _ in range(3):
            await operator.reconciler.reconcile("kic1")
            await asyncio.sleep(0)
        assert appended == ["kic1"]
        await operator.reconciler.reconcile("kic2")
        assert world.status("kic2")["state"] == "Running"
        answer.set()
        await drive(world, operator, until=lambda world, star: star not in world.all(PROCESSING))

    asyncio.run(scenario())


# With queue and workers


async def whole_operator(world: FakeCluster, volume: Path, slots: int, done: Callable[[], bool]) -> None:
    settings = Settings(
        namespace="plato", site=SITE, max_active_stars=slots, workers=3, job_ttl=0, status_interval=0, products=volume,
        resync=1,
    )  # fmt: skip
    client: Any = world
    operator = Operator(client, settings)
    changed = asyncio.Event()

    def hear(kind: Kind, event: str, item: dict[str, Any]) -> None:
        if kind in WATCHED:
            operator.observe(kind, event, item)
        changed.set()

    world.finish_at_once = True
    world.watchers = [hear]
    await operator.prime()
    work = asyncio.create_task(operator.run())
    try:
        async with asyncio.timeout(30):
            while not done():
                changed.clear()
                await changed.wait()
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def many(ttl: str) -> tuple[FakeCluster, list[str]]:
    world = cluster(time.time() - 3600, ttl=ttl)  # the operator's clock is the real one
    stars = [f"kic{index}" for index in range(1, 9)]
    for name in stars:
        world.star(name, ttl=ttl)
    world.star("rival", star="kic1", ttl=ttl)
    return world, [*stars, "rival"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("slots", [1, 2, 100])
def test_the_whole_operator_brings_many_stars_to_their_end_with_no_event_but_the_watches(
    slots: int, tmp_path: Path
) -> None:
    world, stars = many(ttl="7d")

    def done() -> bool:
        return all(at_rest(world, name) for name in stars)

    asyncio.run(whole_operator(world, tmp_path, slots, done))
    assert len(world.jobs_created) == len(set(world.jobs_created)) == len(stars)
    assert {world.status(name)["state"] for name in stars} == {"Succeeded"}
    kept = {file.stem: file.read_text() for file in tmp_path.glob("q1/*/.logs/*.log")}
    assert kept.keys() == set(world.jobs_created)
    assert all("step-b says hello" in text for text in kept.values())


@pytest.mark.timeout(60)
def test_the_whole_operator_lets_every_star_go(tmp_path: Path) -> None:
    world, stars = many(ttl="1s")
    asyncio.run(whole_operator(world, tmp_path, 2, lambda: not world.all(PROCESSING)))
    assert sorted(record["name"] for record in records(tmp_path)) == sorted(stars)
    assert not world.all(JOB)


@pytest.mark.timeout(60)
def test_the_whole_operator_collects_revisions_that_no_star_names(tmp_path: Path) -> None:
    world, _ = many(ttl="7d")
    labels = {"app.kubernetes.io/managed-by": "plato-sas-operator"}
    world.put(REVISION, {"metadata": {"name": "unused", "labels": labels, "creationTimestamp": "2020-01-01T00:00:00Z"}})
    asyncio.run(whole_operator(world, tmp_path, 100, lambda: "unused" not in world.revisions()))
    assert len(world.revisions()) == 1


def test_the_log_of_a_job_that_somebody_deleted_is_not_waited_for(tmp_path: Path) -> None:
    world = cluster()
    client: Any = world
    operator = Operator(client, Settings(namespace="plato", site=SITE, products=tmp_path))
    logs = operator._logs
    assert logs is not None
    job = {"metadata": {"name": "j", "uid": "u", "resourceVersion": "1"}, "spec": {"template": {"spec": {}}}}
    logs.request("kic1", PurePosixPath("q1/kic1"), job, [])
    assert LOGS_WAITING._value.get() == 1
    operator.observe(JOB, "DELETED", job)
    assert LOGS_WAITING._value.get() == 0
