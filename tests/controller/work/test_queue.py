"""The work queue: one hand per key, nothing lost, pauses after failures."""

import asyncio
from collections import Counter

from prometheus_client import REGISTRY

from plato_sas.controller.kube.resources import CATALOGUE, PROCESSING, Kind
from plato_sas.controller.work.queue import WorkQueue


async def empty(queue: WorkQueue) -> bool:
    """Whether a worker that asks now has to wait."""
    task = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    taken = task.done()
    task.cancel()
    return not taken


def test_keys_come_in_order_and_once() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        for key in ("a", "b", "a", "c", "b"):
            queue.add(key)
        assert [await queue.get() for _ in range(3)] == ["a", "b", "c"]
        assert await empty(queue)

    asyncio.run(scenario())


def test_a_key_added_while_it_is_worked_on_comes_again_afterwards_once() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        queue.add("a")
        assert await queue.get() == "a"
        queue.add("a")
        queue.add("a")
        assert await empty(queue), "it is in somebody's hands"
        queue.done("a")
        assert await queue.get() == "a"
        queue.done("a")
        assert await empty(queue)

    asyncio.run(scenario())


def test_no_key_is_ever_in_two_hands_and_no_wish_is_lost() -> None:
    async def scenario() -> None:
        queue, busy, seen, wished = WorkQueue(), set[str](), Counter[str](), dict[str, int]()
        version = Counter[str]()

        async def worker() -> None:
            while True:
                key = await queue.get()
                assert key not in busy
                busy.add(key)
                read = version[key]
                for _ in range(sum(seen.values()) % 3):
                    await asyncio.sleep(0)
                seen[key] += 1
                wished[key] = read
                busy.remove(key)
                queue.done(key)

        workers = [asyncio.create_task(worker()) for _ in range(4)]
        for index in range(500):
            key = f"k{index % 7}"
            version[key] += 1
            queue.add(key)
            if index % 3 == 0:
                await asyncio.sleep(0)
        async with asyncio.timeout(10):
            while wished != dict(version):
                assert not [one for one in workers if one.done()]
                await asyncio.sleep(0)
        for one in workers:
            one.cancel()

    asyncio.run(scenario())


def test_a_waiting_worker_wakes_when_a_key_comes() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        task = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        queue.add("a")
        assert await asyncio.wait_for(task, 5) == "a"

    asyncio.run(scenario())


def test_pauses_double_with_each_failure_up_to_a_minute_and_start_anew_after_a_success() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        pauses = [queue.retry("a") for _ in range(40)]
        assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
        assert pauses[-1] == 60.0
        assert queue.retry("b") == 0.1, "each key has its own"
        queue.succeeded("a")
        assert queue.retry("a") == 0.1

    asyncio.run(scenario())


def test_the_earliest_of_several_wishes_counts() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        queue.add_after("a", 3600)
        queue.add_after("a", 0.01)
        queue.add_after("a", 3600)
        assert await asyncio.wait_for(queue.get(), 5) == "a"
        queue.done("a")
        assert await empty(queue)

    asyncio.run(scenario())


def test_a_key_that_failed_comes_again() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        queue.add("a")
        key = await queue.get()
        queue.retry(key)
        queue.done(key)
        assert await asyncio.wait_for(queue.get(), 5) == "a"

    asyncio.run(scenario())


def test_a_key_that_comes_again_and_again_does_not_starve_the_others() -> None:
    async def scenario() -> None:
        queue, worked = WorkQueue(), list[str]()
        for key in ("busy", "a", "b"):
            queue.add(key)
        while len(worked) < 6:
            key = await queue.get()
            queue.add("busy")
            worked.append(key)
            queue.done(key)
        assert worked == ["busy", "a", "b", "busy", "busy", "busy"]

    asyncio.run(scenario())


def test_each_kind_has_a_depth_of_its_own() -> None:
    def depth(kind: Kind) -> float | None:
        return REGISTRY.get_sample_value("plato_sas_queue_depth", {"kind": kind.name})

    stars, catalogues = WorkQueue(PROCESSING), WorkQueue(CATALOGUE)
    for key in ("a", "b"):
        stars.add(key)
    catalogues.add("q1-dp")
    assert (depth(PROCESSING), depth(CATALOGUE)) == (2, 1)
    asyncio.run(stars.get())
    assert (depth(PROCESSING), depth(CATALOGUE)) == (1, 1)
