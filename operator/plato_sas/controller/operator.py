"""The running operator: the queue's workers, the view's upkeep, and kopf's watches."""

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Any

from plato_sas.controller import metrics
from plato_sas.controller.actuator import Actuator
from plato_sas.controller.client import ApiError, KubeClient
from plato_sas.controller.queue import WorkQueue
from plato_sas.controller.reconcile import Reconciler
from plato_sas.controller.resources import WATCHED, Kind
from plato_sas.controller.revisions import Revisions
from plato_sas.controller.settings import Settings
from plato_sas.controller.view import View
from plato_sas.controller.window import AdmissionWindow

logger = logging.getLogger(__name__)

_LAG_INTERVAL = 0.25


class Operator:
    """Everything between a watch event and the API server."""

    def __init__(self, client: KubeClient, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._view = View()
        self._queue = WorkQueue()
        window = AdmissionWindow(settings.max_active_stars, self._queue.add)
        self._reconciler = Reconciler(
            client,
            self._view,
            Revisions(client, self._view),
            window,
            Actuator(client, self._view, settings.site, settings.job_ttl),
            _now,
            self._queue.add,
        )

    def observe(self, kind: Kind, event_type: str | None, item: dict[str, Any]) -> None:
        """A watch event: update the view, mark the stars that it touches."""
        touched = self._view.drop(kind, item) if event_type == "DELETED" else self._view.put(kind, item)
        for name in touched:
            self._queue.add(name)

    async def prime(self) -> None:
        """List everything once. Nothing is decided before: a Job not yet seen would be taken for lost."""
        for kind in WATCHED:  # stars before their Jobs: a Job newer than its star's status is understood
            self._view.replace(kind, await self._client.list(kind))
        for name in self._view.stars():
            self._queue.add(name)

    async def run(self) -> None:
        """Work until cancelled; `prime` must have been called."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._settings.workers):
                group.create_task(self._work())
            group.create_task(self._resync())
            group.create_task(_watch_loop_lag())

    async def _work(self) -> None:
        while True:
            name = await self._queue.get()
            started = time.monotonic()
            outcome = "ok"
            try:
                again = await self._reconciler.reconcile(name)
                self._queue.succeeded(name)
                if again is not None:
                    self._queue.add_after(name, again)
            except ApiError as error:
                outcome = "api_error"
                pause = self._queue.retry(name)
                logger.warning("API request failed", extra={"processing": name, "error": str(error), "retry_in": pause})
            except Exception:
                # One star's surprise must not stop the others; it is tried again, ever more slowly.
                outcome = "error"
                pause = self._queue.retry(name)
                logger.exception("Reconciliation failed", extra={"processing": name, "retry_in": pause})
            finally:
                self._queue.done(name)
                metrics.RECONCILES.labels(outcome).observe(time.monotonic() - started)

    async def _resync(self) -> None:
        """Compare the view with the API server now and then: a watch can lose a deletion."""
        while True:
            await asyncio.sleep(self._settings.resync)
            for kind in WATCHED:
                before = self._view.names(kind)  # what is made during the list is not in it
                try:
                    listed = await self._client.list(kind)
                except ApiError as error:
                    logger.warning("Resync failed", extra={"kind": kind.name, "error": str(error)})
                    break
                for name in self._view.replace(kind, listed, before):
                    self._queue.add(name)


async def _watch_loop_lag() -> None:
    while True:
        due = time.monotonic() + _LAG_INTERVAL
        await asyncio.sleep(_LAG_INTERVAL)
        metrics.LOOP_LAG.observe(max(0.0, time.monotonic() - due))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
