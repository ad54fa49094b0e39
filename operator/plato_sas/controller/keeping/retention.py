"""Delete finished Jobs once their logs are kept, and finished stars once their records are archived."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from plato_sas.api import Document, StarProcessing, StarProcessingStatus, StepState, seconds
from plato_sas.controller.keeping.archive import Archive, ArchiveError
from plato_sas.controller.keeping.logs import LogKeeper
from plato_sas.controller.keeping.volume import open_folder
from plato_sas.controller.kube.client import ApiError, KubeClient
from plato_sas.controller.kube.resources import JOB, PROCESSING
from plato_sas.controller.view.view import View
from plato_sas.jobs.attempt import Attempt
from plato_sas.jobs.pods import outlived
from plato_sas.plan.times import seconds_between
from plato_sas.stager.description import ATTEMPTS
from plato_sas.stager.removing import remove

logger = logging.getLogger(__name__)

_VOLUME_PATIENCE = 30.0  # seconds; a volume that hangs must not block a worker for ever
# Stars are deleted outside of the workers, a few at a time, so that neither a slow volume nor their number delays the
# others. If a record cannot be written, the star is retried after a pause that grows with every failure.
_DELETIONS = 4
_FIRST_PAUSE = 5.0
_LONGEST_PAUSE = 300.0


class Retention:
    """Deletes what has reached its TTL. TTLs are in seconds; `products` is the volume, None if it is not mounted."""

    def __init__(
        self,
        client: KubeClient,
        view: View,
        clock: Callable[[], str],
        *,
        job_ttl: int,
        star_ttl: int,
        logs: LogKeeper | None = None,
        archive: Archive | None = None,
        products: Path | None = None,
    ) -> None:
        self._client = client
        self._view = view
        self._clock = clock
        self._job_ttl = job_ttl
        self._star_ttl = star_ttl
        self._logs = logs
        self._archive = archive
        self._products = products
        self._leaving: dict[str, asyncio.Task[None]] = {}  # stars
        self._deletions = asyncio.Semaphore(_DELETIONS)
        self._failures = 0  # since the last star that could be deleted

    async def release(self, processing: StarProcessing, attempt: Attempt) -> float | None:
        """Delete a finished Job whose outcome is stored, if its TTL is over; else return the seconds until then.

        None if there is nothing to wait for, or an event will mark the star. Raises ApiError.
        """
        job = self._view.job(attempt.job)
        if job is None or _awaits_salvage(processing.status, attempt):
            return None
        folder = PurePosixPath(processing.spec.campaign, processing.spec.star)
        if self._logs is not None and not self._logs.kept(job):
            self._logs.request(processing.metadata.name, folder, job, self._view.pods_of(attempt.job))
            return None
        left = min(self._job_ttl, self._ttl(processing)) - self._age(attempt.finished_at)
        # An injected container would keep the pod alive; with the Job it goes. A stage that did not begin, since its
        # products exist, has a failed Job although nothing went wrong.
        injected = self._logs is not None and any(map(outlived, self._view.pods_of(attempt.job)))
        needless = bool(attempt.reused) and not attempt.check
        if left > 0 and not (injected or needless):
            return left
        await self._discard(folder, attempt.job)
        await self._client.delete(JOB, attempt.job, uid=job["metadata"]["uid"])
        self._view.drop(JOB, job)
        if self._logs is not None:
            self._logs.forget(attempt.job)
        return None

    def expire(self, processing: StarProcessing, status: StarProcessingStatus) -> float | None:
        """Archive and delete a finished star if its TTL is over; returns the seconds until the next look, if any.

        `status`: the decided one; the star is deleted only once it is stored.
        """
        name = processing.metadata.name
        if not status.state.final or status != processing.status or self._view.has_jobs(name):
            return None
        left = self._ttl(processing) - self._age(status.finished_at)
        if left > 0:
            return left
        if name not in self._leaving:
            self._leaving[name] = task = asyncio.create_task(self._leave(processing))
            task.add_done_callback(lambda _: self._leaving.pop(name))
        return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._failures, 16))

    async def _leave(self, processing: StarProcessing) -> None:
        """Archive and delete a star."""
        metadata = processing.metadata
        fields: dict[str, object] = {"processing": metadata.name, "state": processing.status.state.value}
        try:
            if self._archive is not None:
                await self._archive.append(processing.spec.campaign, record(processing, self._clock()))
            async with self._deletions:
                # A star that has changed in the meantime (a rerun) stays.
                await self._client.delete(PROCESSING, metadata.name, metadata.uid, metadata.resource_version)
        except Exception as error:
            self._failures += 1
            if self._failures & (self._failures - 1) == 0:  # the 1st, 2nd, 4th, 8th ...: not a line for every star
                surprise = error if not isinstance(error, ApiError | ArchiveError) else None
                fields |= {"error": str(error), "failures": self._failures}
                logger.warning("Star cannot be archived and deleted", extra=fields, exc_info=surprise)
        else:
            self._failures = 0
            logger.info("Star archived and deleted", extra=fields)

    def _ttl(self, processing: StarProcessing) -> int:
        return seconds(processing.spec.ttl) if processing.spec.ttl is not None else self._star_ttl

    def _age(self, finished_at: str | None) -> float:
        return seconds_between(finished_at, self._clock()) if finished_at is not None else 0.0

    async def _discard(self, folder: PurePosixPath, job: str) -> None:
        """Remove what the attempt left unpublished; best effort, since leftovers are harmless."""
        if self._products is None:
            return
        try:
            await asyncio.wait_for(asyncio.to_thread(_remove, self._products, folder, job), _VOLUME_PATIENCE)
        except OSError as error:  # TimeoutError is one
            fields = {"job": job, "error": str(error) or "the volume does not answer"}
            logger.warning("Unpublished files of an attempt not removed", extra=fields)


def _remove(products: Path, folder: PurePosixPath, job: str) -> None:
    if not (products / folder / ATTEMPTS / job).exists():
        return
    with open_folder(products, *folder.parts, ATTEMPTS) as attempts:
        remove(Path(f"/proc/self/fd/{attempts}", job))


def _awaits_salvage(status: StarProcessingStatus, attempt: Attempt) -> bool:
    return any(step.state is StepState.PUBLISHING and step.job == attempt.job for step in status.steps)


def record(processing: StarProcessing, now: str) -> Document:
    """What the archive keeps of a star."""
    metadata = processing.metadata
    return {
        "uid": metadata.uid,
        "name": metadata.name,
        "namespace": metadata.namespace,
        "labels": metadata.labels,
        "createdAt": metadata.creation_timestamp,
        "archivedAt": now,
        "spec": processing.spec.to_dict(),
        "status": processing.status.to_dict(),
    }
