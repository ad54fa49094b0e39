"""The running operator: workers, updates of the view, and the logs of finished Jobs."""

import asyncio
import logging
import time
from datetime import UTC, datetime

from plato_sas.api import Document
from plato_sas.controller import metrics
from plato_sas.controller.catalogues.reconcile import Catalogues
from plato_sas.controller.keeping.archive import Archive
from plato_sas.controller.keeping.logs import LogKeeper
from plato_sas.controller.keeping.retention import Retention
from plato_sas.controller.kube.client import ApiError, KubeClient
from plato_sas.controller.kube.resources import CATALOGUE, JOB, WATCHED, Kind
from plato_sas.controller.revisions import Revisions
from plato_sas.controller.settings import Settings
from plato_sas.controller.stars.actuator import Actuator
from plato_sas.controller.stars.reconcile import Reconciler
from plato_sas.controller.stars.stuck import StuckStars
from plato_sas.controller.stars.window import AdmissionWindow
from plato_sas.controller.view.listing import relist
from plato_sas.controller.view.view import View, decisive
from plato_sas.controller.work.queue import WorkQueue
from plato_sas.controller.work.worker import work

logger = logging.getLogger(__name__)

_LAG_INTERVAL = 0.25
_FIRST_PAUSE = 0.5  # seconds between tries of the first list, doubled each time
_LONGEST_PAUSE = 15.0
_PROGRESS_PER_SECOND = 4.0  # most stars per second whose progress inside a stage is written


class Operator:
    """Everything between a watch event and the API server."""

    def __init__(self, client: KubeClient, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._view = View()
        self._queue = WorkQueue()
        self._logs: LogKeeper | None = None
        if settings.keep_logs:
            self._logs = LogKeeper(
                client,
                settings.products,
                self._queue.add,
                max_bytes=settings.log_max_bytes,
                workers=settings.log_workers,
            )
        self._window = AdmissionWindow(settings.max_active_stars, self._queue.add)
        self._stuck = StuckStars(self._view, settings.stuck_seconds)
        self._revisions = Revisions(client, self._view)
        self._catalogues = Catalogues(
            client, self._revisions, settings.site, _now, job_ttl=settings.job_ttl, resync=settings.resync
        )
        self._reconciler = Reconciler(
            client,
            self._view,
            self._revisions,
            self._window,
            Actuator(client, self._view, settings.site),
            Retention(
                client,
                self._view,
                _now,
                job_ttl=settings.job_ttl,
                star_ttl=settings.star_ttl,
                logs=self._logs,
                archive=Archive(settings.products) if settings.archive else None,
                products=settings.products if settings.keep_logs or settings.archive else None,
            ),
            _now,
            self._queue.add,
            settings.max_steps_per_stage,
            settings.start_seconds,
            settings.normal_events,
        )

    def observe(self, kind: Kind, event_type: str | None, item: Document) -> None:
        """Handle a watch event: update the view, and mark the stars and catalogues it concerns."""
        self._catalogues.observe(kind, item)
        if kind is CATALOGUE:
            return
        gone = event_type == "DELETED"
        touched = self._view.drop(kind, item) if gone else self._view.put(kind, item)
        if gone and kind is JOB and self._logs is not None:
            self._logs.forget(item["metadata"]["name"])
        for name in touched:
            if gone or decisive(kind, item):
                self._queue.add(name)
            else:
                # The more stars run, the less often each reports its progress.
                pause = self._window.active / _PROGRESS_PER_SECOND
                self._queue.add_after(name, max(pause, self._settings.status_interval))

    async def prime(self) -> None:
        """List everything once. Nothing is decided before, since a Job not yet listed would count as lost."""
        for kind in WATCHED:  # stars before their Jobs: a Job may be newer than its star's status, never older
            await self._first_list(kind)
        for name in self._view.stars():
            # Running stars get their slots first.
            if self._view.has_running_job(name):
                self._window.occupy(name)
        for name in self._view.stars():
            self._queue.add(name)

    async def _first_list(self, kind: Kind) -> None:
        """List until the API server answers, without limit."""
        pause = _FIRST_PAUSE
        while True:
            try:
                await relist(self._client, self._view, kind)
            except ApiError as error:
                fields = {"kind": kind.name, "error": str(error), "retry_in": pause}
                logger.warning("First list failed", extra=fields)
            else:
                return
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)

    async def run(self) -> None:
        """Work until cancelled; `prime` must have been called."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._settings.workers):
                group.create_task(work(self._queue, self._reconciler.reconcile, "processing"))
            if self._logs is not None:
                group.create_task(self._logs.run())
            group.create_task(self._catalogues.run())
            group.create_task(self._stuck.run())
            group.create_task(self._resync())
            group.create_task(_watch_loop_lag())

    async def _resync(self) -> None:
        """Compare the view with the API server regularly, since a watch can lose a deletion."""
        while True:
            await asyncio.sleep(self._settings.resync)
            for kind in WATCHED:
                try:
                    touched = await relist(self._client, self._view, kind)
                except ApiError as error:
                    logger.warning("Resync failed", extra={"kind": kind.name, "error": str(error)})
                    continue
                for name in touched:
                    self._queue.add(name)
            try:
                await self._revisions.collect(_now())
            except ApiError as error:
                logger.warning("ControllerRevisions not collected", extra={"error": str(error)})


async def _watch_loop_lag() -> None:
    while True:
        due = time.monotonic() + _LAG_INTERVAL
        await asyncio.sleep(_LAG_INTERVAL)
        metrics.LOOP_LAG.observe(max(0.0, time.monotonic() - due))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
