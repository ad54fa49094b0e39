"""The order of a run: first the longest files with tests that run alone, and beside them the tests that need no
platform; then the other files of the platform, the longest first.

A file belongs to one worker, because its tests share fixtures. `seconds.json` holds the measured seconds of each.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.running.alone import is_alone, needs_platform

MEASURED = Path(__file__).with_name("seconds.json")
_FIRST = 2  # files with tests that run alone: two more workers are left for the tests that need no platform


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class Files(LoadScopeScheduling):
        """A scope is a file, and scopes stay in the order of the collection."""

        def _split_scope(self, nodeid: str) -> str:
            return file_of(nodeid)

    config.option.loadscopereorder = False
    return Files(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=ranking(items, measured()))


def ranking(items: list[pytest.Item], seconds: dict[str, float]) -> Callable[[pytest.Item], tuple[Any, ...]]:
    """A sort key; without measured seconds a file counts as the longest, so that it is not the last to begin."""
    alone = {file_of(item.nodeid) for item in items if is_alone(item)}
    platform = {file_of(item.nodeid) for item in items if needs_platform(item)}
    first = sorted(alone, key=lambda file: (-seconds.get(file, 0.0), file))[:_FIRST]

    def rank(item: pytest.Item) -> tuple[Any, ...]:
        file = file_of(item.nodeid)
        if file in first:
            group = 0
        elif file not in platform:
            group = 1
        else:
            group = 2 if file in alone else 3
        return group, -seconds.get(file, float("inf") if file in platform else 0.0), file, not is_alone(item)

    return rank


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def measured() -> dict[str, float]:
    """Seconds by file, as they were measured."""
    found: dict[str, float] = json.loads(MEASURED.read_text())
    return found
