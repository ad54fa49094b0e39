"""Stars that stand still without a reason: there should be none, and a metric says so."""

import asyncio
import logging
import time
from collections.abc import Callable

from plato_sas.controller import metrics
from plato_sas.controller.view.view import View

logger = logging.getLogger(__name__)

_INTERVAL = 60.0  # seconds between looks
_NAMED = 10  # in the log; a metric has no label with a value per star


class StuckStars:
    """Counts stars that have had no Job, no reason and no change for longer than `patience` seconds."""

    def __init__(self, view: View, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._view = view
        self._patience = patience
        self._clock = clock
        self._since: dict[str, tuple[int, float]] = {}  # by name: the version, and when it was seen first

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(min(_INTERVAL, self._patience))
            self.look()

    def look(self) -> list[str]:
        """The names of the stars that are stuck now; sets the metric."""
        now, known, stuck = self._clock(), self._since, []
        self._since = {}
        for name, version in self._view.unexplained().items():
            if self._view.has_running_job(name):
                continue
            before = known.get(name)
            since = before[1] if before is not None and before[0] == version else now
            self._since[name] = version, since
            if now - since >= self._patience:
                stuck.append(name)
        metrics.STUCK_STARS.set(len(stuck))
        if stuck:
            logger.warning("Stars are stuck", extra={"count": len(stuck), "first": sorted(stuck)[:_NAMED]})
        return stuck
