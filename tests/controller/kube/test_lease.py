"""Who may write: one operator at a time, another soon after it is gone, and never by comparing clocks."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from plato_sas.controller.kube.client import ApiError
from plato_sas.controller.kube.lease import Lease, LeaseLost
from tests.support.leases import LeaseServer

NAME = "plato-sas-operator"
DURATION, RENEWAL, POLL = 0.6, 0.1, 0.03


def lease(server: LeaseServer, identity: str, clock: Callable[[], float] = time.monotonic) -> Lease:
    return Lease(server, NAME, identity, duration=DURATION, renewal=RENEWAL, poll=POLL, clock=clock)  # type: ignore[arg-type]


@asynccontextmanager
async def holding(one: Lease) -> AsyncIterator["asyncio.Task[None]"]:
    await one.acquire()
    task = asyncio.create_task(one.hold())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - of a fake server's state, which tells nobody
            await asyncio.sleep(0.005)


async def test_the_first_holds_and_the_second_waits() -> None:
    server = LeaseServer()
    first, second = lease(server, "a"), lease(server, "b")
    async with holding(first):
        waiting = asyncio.create_task(second.acquire())
        writes = server.writes
        await until(lambda: server.writes > writes + 8)  # renewed for longer than the duration
        assert not waiting.done()
        assert (first.holds(), second.holds()) == (True, False)
        with pytest.raises(ApiError, match="not been renewed"):
            second.fence()
        first.fence()
        waiting.cancel()


async def test_a_lease_given_back_is_taken_at_once() -> None:
    server = LeaseServer()
    first, second = lease(server, "a"), lease(server, "b")
    async with holding(first) as held:
        waiting = asyncio.create_task(second.acquire())
        await asyncio.sleep(0)  # it has looked
        held.cancel()
        released = time.monotonic()
        await first.release()
        assert not first.holds()
        await asyncio.wait_for(waiting, 5)
    assert time.monotonic() - released < DURATION / 2
    assert server.holder(NAME) == "b"
    assert server.objects[NAME]["spec"]["leaseTransitions"] >= 1


async def test_after_a_crash_the_next_waits_for_the_end_and_no_longer() -> None:
    server = LeaseServer()
    await lease(server, "a").acquire()  # and never renews
    second, started = lease(server, "b"), time.monotonic()
    await asyncio.wait_for(second.acquire(), 10)
    assert time.monotonic() - started >= DURATION
    assert server.holder(NAME) == "b"


async def test_the_same_identity_goes_on_at_once() -> None:
    server = LeaseServer()
    await lease(server, "pod_uid").acquire()
    since = server.objects[NAME]["spec"]["acquireTime"]
    again = lease(server, "pod_uid")
    await asyncio.wait_for(again.acquire(), DURATION / 2)
    assert again.holds()
    assert server.objects[NAME]["spec"]["acquireTime"] == since
    assert server.objects[NAME]["spec"]["leaseTransitions"] == 0


@pytest.mark.parametrize("written", ["1970-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z", None, "rubbish"])
async def test_another_machines_clock_does_not_matter(written: str | None) -> None:
    server = LeaseServer()
    await lease(server, "a").acquire()
    server.touch(NAME, renewTime=written, leaseDurationSeconds=1_000_000)
    started = time.monotonic()
    await asyncio.wait_for(lease(server, "b").acquire(), 10)
    assert time.monotonic() - started >= DURATION


async def test_of_many_at_once_one_gets_it() -> None:
    server = LeaseServer()
    candidates = [lease(server, f"c{number}") for number in range(20)]
    tasks = [asyncio.create_task(one.acquire()) for one in candidates]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert [one.holds() for one in candidates].count(True) == 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_lease_taken_by_another_is_lost() -> None:
    server = LeaseServer()
    first = lease(server, "a")
    async with holding(first) as held:
        server.touch(NAME, holderIdentity="b")
        with pytest.raises(LeaseLost, match="is held by b"):
            await asyncio.wait_for(held, 5)
    with pytest.raises(ApiError):
        first.fence()
    await first.release()  # not ours any more: stays with its holder
    assert server.holder(NAME) == "b"


async def test_an_api_server_that_is_away_stops_writes_and_not_the_process() -> None:
    server = LeaseServer()
    first = lease(server, "a")
    async with holding(first) as held:
        server.down = True
        last = first._renewed
        await until(lambda: not first.holds())
        assert DURATION * 2 / 3 <= time.monotonic() - last < DURATION  # before anybody else could have it
        with pytest.raises(ApiError, match="nothing is written"):
            first.fence()
        server.down = False
        await until(first.holds)
        assert not held.done()


async def test_a_process_that_slept_is_fenced_before_it_renews() -> None:
    server, now = LeaseServer(), [0.0]
    first = lease(server, "a", lambda: now[0])
    await first.acquire()
    first.fence()
    now[0] += DURATION
    with pytest.raises(ApiError):
        first.fence()


async def test_what_others_write_to_it_does_no_harm() -> None:
    server = LeaseServer()
    first = lease(server, "a")
    async with holding(first) as held:
        server.touch(NAME)  # an annotation, say: another resourceVersion
        before = server.writes
        await until(lambda: server.writes > before + 2)
        del server.objects[NAME]  # kubectl delete lease
        await until(lambda: NAME in server.objects)
        assert server.holder(NAME) == "a"
        assert first.holds()
        assert not held.done()


async def test_a_renewal_whose_answer_is_lost_was_a_renewal() -> None:
    server = LeaseServer()
    first = lease(server, "a")
    async with holding(first) as held:
        server.lose_answers = True
        before = server.writes
        await until(lambda: server.writes > before)
        server.lose_answers = False
        renewed = first._renewed
        await until(lambda: first._renewed > renewed)
        assert first.holds()
        assert not held.done()
