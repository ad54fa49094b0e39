"""The short form of the chaos suite: each fault once or a few times, judged by the same rules as the full one."""

from collections.abc import Iterator
from typing import Any

import pytest

from e2e.chaos.arena import Arena, close_arena, open_arena
from e2e.chaos.faults import FAULTS, components
from e2e.chaos.report import Row
from e2e.chaos.suite import run


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    try:
        yield open_arena()
    finally:
        close_arena()


def _story(row: Row) -> str:
    broken = [f"{one.rule.value}: {one.where}: {one.what}" for one in row.violations]
    return "\n".join([f"{row.fault}: {row.outcome}", *broken, row.error])


_RESTARTS = {fault.name for fault in components.FAULTS}


def _cases() -> Iterator[Any]:
    for name, fault in FAULTS.items():
        if fault.short:
            yield pytest.param(name, marks=[pytest.mark.alone] if name in _RESTARTS else [])


@pytest.mark.parametrize("name", _cases())
def test_every_rule_holds(arena: Arena, name: str) -> None:
    if FAULTS[name].components and arena.local is None:
        pytest.skip("needs the local cluster, whose components are processes of this machine")
    rows = list(run(arena, [FAULTS[name]], short=True))
    assert [row.fault for row in rows] == list(FAULTS[name].rows)
    assert all(row.held for row in rows), "\n".join(_story(row) for row in rows if not row.held)
