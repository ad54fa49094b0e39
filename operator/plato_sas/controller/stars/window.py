"""The admission window: a limited number of stars may have Jobs, the most urgent first."""

import heapq
from collections.abc import Callable

from plato_sas.controller import metrics

Rank = tuple[int, str, str]  # -priority, creation time, name: the smallest is first


class AdmissionWindow:
    """Slots for active stars. Calls `wake` with the key of a waiting star that may be admitted now."""

    def __init__(self, slots: int, wake: Callable[[str], None]) -> None:
        self._slots = slots
        self._wake = wake
        self._active: set[str] = set()
        self._waiting: dict[str, Rank] = {}
        self._heap: list[tuple[Rank, str]] = []

    @property
    def active(self) -> int:
        """How many stars have a slot."""
        return len(self._active)

    def holds(self, key: str) -> bool:
        return key in self._active

    def occupy(self, key: str) -> None:
        """Give a slot to a star that already has Jobs, even beyond the limit (after a restart)."""
        self._active.add(key)
        self._waiting.pop(key, None)
        self._report()

    def acquire(self, key: str, rank: Rank) -> bool:
        """Take a slot if one is free and no more urgent star waits for it; else join the waiting stars."""
        if key in self._active:
            return True
        if len(self._active) < self._slots:
            first = self._first()
            if first is None or (rank, key) <= first:
                self.occupy(key)
                self._wake_next()
                return True
        if self._waiting.get(key) != rank:
            self._waiting[key] = rank
            heapq.heappush(self._heap, (rank, key))
        self._wake_next()
        self._report()
        return False

    def withdraw(self, key: str) -> None:
        """Stop waiting for a slot; a slot already taken stays."""
        if self._waiting.pop(key, None) is not None:
            self._wake_next()
            self._report()

    def release(self, key: str) -> None:
        """Give the slot back, or stop waiting for one: the star is finished, gone or needs none."""
        known = key in self._active or key in self._waiting
        self._active.discard(key)
        self._waiting.pop(key, None)
        if known:
            self._wake_next()
        self._report()

    def _first(self) -> tuple[Rank, str] | None:
        while self._heap and self._waiting.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0] if self._heap else None

    def _wake_next(self) -> None:
        first = self._first()
        if first is not None and len(self._active) < self._slots:
            self._wake(first[1])

    def _report(self) -> None:
        metrics.ACTIVE_STARS.set(len(self._active))
        metrics.WAITING_STARS.set(len(self._waiting))
