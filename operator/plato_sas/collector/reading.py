"""Read all stars of a campaign with a few processes, since HDF5 allows only one thread of a process at a time."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from plato_sas.collector.order import CatalogueOrder
from plato_sas.collector.rows import Layout
from plato_sas.collector.tree import read_star

_TOGETHER = 64  # stars
_AHEAD = 4  # batches ahead for each process

Maker = tuple[str, str, str, str]  # step, module, version, image digest


class Batch(NamedTuple):
    """The result for some stars: packed rows by table, and counts."""

    stars: int
    without_products: int
    with_problems: int
    packed: list[bytes]
    left_out: list[int]
    makers: Counter[tuple[int, Maker]]  # by table
    problems: list[str]


class _Reader:
    """The work of one process."""

    def __init__(self, campaign: Path, order: CatalogueOrder) -> None:
        self._campaign = campaign
        self._order = order
        self._layouts = [Layout(table) for table in order.tables]

    def batch(self, names: Sequence[str]) -> Batch:
        """Raises OSError."""
        rows: list[list[tuple[object, ...]]] = [[] for _ in self._layouts]
        left_out = [0] * len(self._layouts)
        makers: Counter[tuple[int, Maker]] = Counter()
        problems: list[str] = []
        without = wrong = 0
        for name in names:
            read = read_star(self._campaign, name, self._order)
            problems += read.problems.values()
            wrong += bool(read.problems)
            if not read.steps and not read.problems:
                without += 1
                continue
            for table, layout in enumerate(self._layouts):
                if read.problems.keys() & set(layout.steps):
                    left_out[table] += 1
                    continue
                rows[table].append(layout.row(name, read.steps))
                makers.update((table, (step, *read.steps[step].made_by)) for step in layout.steps if step in read.steps)
        packed = [layout.packed(one) if one else b"" for layout, one in zip(self._layouts, rows, strict=True)]
        return Batch(len(names), without, wrong, packed, left_out, makers, problems)


_reader: _Reader | None = None  # of this process


def _begin(campaign: Path, order: CatalogueOrder) -> None:
    global _reader
    _reader = _Reader(campaign, order)


def _read(names: Sequence[str]) -> Batch:
    assert _reader is not None
    return _reader.batch(names)


def read_stars(campaign: Path, names: Sequence[str], order: CatalogueOrder) -> Iterator[Batch]:
    """Read in the order of the names, a bounded number of stars ahead of the caller. Raises OSError."""
    with ProcessPoolExecutor(
        order.processes, mp_context=get_context("spawn"), initializer=_begin, initargs=(campaign, order)
    ) as pool:
        waiting: deque[Future[Batch]] = deque()
        try:
            for first in range(0, len(names), _TOGETHER):
                waiting.append(pool.submit(_read, names[first : first + _TOGETHER]))
                if len(waiting) >= _AHEAD * order.processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
