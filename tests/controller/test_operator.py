"""The operator's start: nothing is decided before everything was seen."""

import asyncio
import time
from typing import Any

import pytest

from plato_sas.controller import operator as module
from plato_sas.controller.kube.client import ApiError
from plato_sas.controller.kube.resources import JOB, POD, Kind
from plato_sas.controller.operator import Operator
from plato_sas.controller.settings import Settings
from plato_sas.jobs.stage import Site
from tests.support.cluster import FakeCluster
from tests.support.samples import dag


def operator(world: FakeCluster, **settings: Any) -> Operator:
    client: Any = world
    plain = {"keep_logs": False, "archive": False}
    return Operator(client, Settings("plato", Site(stager_image="stager:1"), **(plain | settings)))


@pytest.mark.parametrize("status", [0, 429, 500, 503, 504])
def test_a_list_that_fails_at_the_start_is_asked_for_again(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.001)
    world, failures = FakeCluster(), [status, status]
    world.catalogue(*dag({"a": []}))

    def refuse(verb: str, kind: Kind, name: str) -> ApiError | None:
        return ApiError(failures.pop(), "not now") if verb == "list" and kind is JOB and failures else None

    world.refuse = refuse
    asyncio.run(operator(world).prime())
    assert failures == []


def test_stars_that_run_keep_their_slots_over_a_restart() -> None:
    world = FakeCluster()
    world.catalogue(*dag({"a": []}))
    for star in ("running", "waiting"):
        world.star(star, star=star)

    async def life(started: asyncio.Event) -> None:
        one = operator(world, max_active_stars=1)
        world.watchers = [one.observe]
        await one.prime()
        work = asyncio.create_task(one.run())
        await started.wait()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    async def restarted() -> None:
        first, second = asyncio.Event(), asyncio.Event()
        asyncio.get_running_loop().call_later(0.2, first.set)
        await life(first)
        # Of higher priority than the one that runs: it would be first in the line.
        busy = "running" if any("running" in name for name in world.jobs_created) else "waiting"
        idle = "waiting" if busy == "running" else "running"
        world.star(idle, star=idle, priority=900)
        asyncio.get_running_loop().call_later(0.2, second.set)
        await life(second)

    asyncio.run(restarted())
    assert len(world.jobs_created) == 1, "one slot, one star"


def test_a_container_that_cannot_begin_has_the_time_that_the_site_gives_it() -> None:
    world = FakeCluster(time.time() - 60)  # its pods began a minute ago
    world.catalogue(*dag({"a": []}))
    world.star("stuck", star="stuck")
    limits: list[int] = []

    def kubelet(kind: Kind, event: str, item: dict[str, Any]) -> None:
        if kind is JOB and event == "ADDED":
            pod = world.kubelet.running(item, "a")
            pod["status"]["initContainerStatuses"][1]["state"] = {"waiting": {"reason": "ImagePullBackOff"}}
            world.put(POD, pod)
        elif kind is POD and event == "MODIFIED":
            limits.append(item["spec"]["activeDeadlineSeconds"])
            limited.set()

    async def life() -> None:
        one = operator(world, start_seconds=30)
        world.watchers = [one.observe, kubelet]
        await one.prime()
        work = asyncio.create_task(one.run())
        await asyncio.wait_for(limited.wait(), 10)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    limited = asyncio.Event()
    asyncio.run(life())
    assert 30 < limits[0] < 120
