"""Read all stars of a campaign with a few processes, since HDF5 allows only one thread of a process at a time."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
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
    """Read in the order of the names, a bounded number of stars ahead of the caller. Raises OSError.

    A product on which the HDF5 library crashes or hangs ends a process. Its star is found, and is a problem as others.
    """
    parts = deque(names[first : first + _TOGETHER] for first in range(0, len(names), _TOGETHER))
    while parts:
        yield from _together(campaign, parts, order)
        if parts:
            yield from _one_by_one(campaign, parts.popleft(), order)


def _pool(campaign: Path, order: CatalogueOrder, processes: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_begin, initargs=(campaign, order)
    )


def _together(campaign: Path, parts: deque[Sequence[str]], order: CatalogueOrder) -> Iterator[Batch]:
    """Read the parts and take them from the deque; ends early if a process ended."""
    with _pool(campaign, order, order.processes) as pool:
        waiting: deque[Future[Batch]] = deque()
        try:
            for part in list(parts):
                waiting.append(pool.submit(_read, part))
                if len(waiting) >= _AHEAD * order.processes:
                    batch = waiting.popleft().result()
                    parts.popleft()
                    yield batch
            while waiting:
                batch = waiting.popleft().result()
                parts.popleft()
                yield batch
        except BrokenProcessPool:
            return
        finally:
            pool.shutdown(cancel_futures=True)


def _one_by_one(campaign: Path, names: Sequence[str], order: CatalogueOrder) -> Iterator[Batch]:
    rest = deque(names)
    while rest:
        with _pool(campaign, order, 1) as pool:
            try:
                while rest:
                    batch = pool.submit(_read, [rest[0]]).result()
                    rest.popleft()
                    yield batch
            except BrokenProcessPool:
                problem = f"{order.campaign}/{rest.popleft()}: reading its products crashed or did not end"
                tables = len(order.tables)
                yield Batch(1, 0, 1, [b""] * tables, [1] * tables, Counter(), [problem])
