"""The operator's command: how it ends."""

import asyncio
import gc
from typing import Any

import kopf
import pytest

from plato_sas.controller import __main__ as command
from plato_sas.controller.health import Health
from plato_sas.controller.settings import Settings
from plato_sas.jobs.stage import Site
from tests.support.cluster import FakeCluster


class Watches:
    """In the place of kopf: ends when it is told to, or is cancelled."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.end = asyncio.Event()

    async def __call__(self, *, ready_flag: asyncio.Event, **_: Any) -> None:
        ready_flag.set()
        self.begun.set()
        await self.end.wait()


async def working(watches: Watches, stop: asyncio.Event, monkeypatch: pytest.MonkeyPatch) -> "asyncio.Task[None]":
    monkeypatch.setattr(kopf, "operator", watches)
    monkeypatch.setattr(gc, "freeze", lambda: None)
    world: Any = FakeCluster()
    world.credentials = None
    settings = Settings("plato", Site(stager_image="stager:1"), keep_logs=False, archive=False)
    task = asyncio.create_task(command._work(world, settings, Health(), stop))
    await asyncio.wait_for(watches.begun.wait(), 10)
    return task


async def test_watches_that_end_by_themselves_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    watches = Watches()
    task = await working(watches, asyncio.Event(), monkeypatch)
    watches.end.set()
    with pytest.raises(command.WatchesEnded):
        await asyncio.wait_for(task, 10)


async def test_a_signal_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = asyncio.Event()
    task = await working(Watches(), stop, monkeypatch)
    stop.set()
    await asyncio.wait_for(task, 10)


async def test_watches_that_end_with_the_signal_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    stop, watches = asyncio.Event(), Watches()
    task = await working(watches, stop, monkeypatch)
    stop.set()
    watches.end.set()
    await asyncio.wait_for(task, 10)


@pytest.mark.parametrize("ended", [True, False])
def test_the_exit_code_says_which(monkeypatch: pytest.MonkeyPatch, ended: bool) -> None:
    async def ends(_: Settings) -> None:
        if ended:
            raise command.WatchesEnded("gone")

    monkeypatch.setattr(command, "start_http_server", lambda _: None)
    monkeypatch.setattr(command, "run", ends)
    monkeypatch.setattr(Settings, "from_environment", lambda: Settings("plato", Site(stager_image="stager:1")))
    monkeypatch.setattr(Settings, "check_volume", lambda _: None)
    monkeypatch.setattr("sys.argv", ["plato-sas-operator"])
    monkeypatch.setattr(kopf, "configure", lambda **_: None)
    assert command.main() == int(ended)
