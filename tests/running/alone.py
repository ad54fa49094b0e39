"""A test marked `alone` has the platform to itself; a lock across pytest-xdist's workers sees to it.

Every test that needs the platform holds the lock shared, one marked `alone` holds it exclusively. It is taken outside
of pytest-timeout's clock and of the durations: waiting for other workers is no part of a test.
"""

import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

_PLATFORM = ("integration", "e2e")


class Turn:
    """A readers-writer lock. A test that waits to be alone goes before those that come later."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._gate: IO[str] = (folder / "gate.lock").open("a")
        self._platform: IO[str] = (folder / "platform.lock").open("a")

    def take(self, kind: int) -> None:
        fcntl.flock(self._gate, fcntl.LOCK_EX)
        fcntl.flock(self._platform, kind)
        fcntl.flock(self._gate, fcntl.LOCK_UN)

    def leave(self) -> None:
        fcntl.flock(self._platform, fcntl.LOCK_UN)


class Turns:
    """Holds the lock around each test, and between two neighbours that both run alone."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._alone = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
        if not needs_platform(item):
            return (yield)
        if not self._alone:
            self._turn.take(fcntl.LOCK_EX if is_alone(item) else fcntl.LOCK_SH)
        try:
            return (yield)
        finally:
            self._alone = is_alone(item) and nextitem is not None and is_alone(nextitem)
            if not self._alone:
                self._turn.leave()


def is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


def needs_platform(item: pytest.Item) -> bool:
    return is_alone(item) or any(item.get_closest_marker(name) for name in _PLATFORM)


def pytest_configure(config: pytest.Config) -> None:
    folder = config.rootpath / ".local" / "tests"
    config.pluginmanager.register(Turns(Turn(folder)), "platform-turns")
