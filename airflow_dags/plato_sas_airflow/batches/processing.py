"""A batch from its first request to its result; the operator runs this in a worker, the trigger in a triggerer."""

import asyncio
import time
from dataclasses import dataclass, replace

from plato_sas_airflow.batches.adoption import RerunRequest
from plato_sas_airflow.batches.applying import apply_batch, cancel_batch
from plato_sas_airflow.batches.batch import Batch
from plato_sas_airflow.batches.failed_stars import write_failed_stars
from plato_sas_airflow.batches.following import BatchFollower
from plato_sas_airflow.batches.results import BatchResult
from plato_sas_airflow.batches.waiting import Waiting
from plato_sas_airflow.errors import BatchError
from plato_sas_airflow.kube.backoff import is_transient
from plato_sas_airflow.kube.client import StarProcessingClient
from plato_sas_airflow.kube.resource import BATCH_LABEL
from plato_sas_airflow.kube.watching import Log


@dataclass(frozen=True)
class BatchProcessing:
    """The processing of one batch."""

    client: StarProcessingClient
    batch: Batch
    waiting: Waiting
    log: Log

    async def run(self, request: RerunRequest | None, seconds: float | None, *, wait: bool) -> BatchResult | None:
        """Apply the batch and wait until it is finished; if this is cancelled, cancel what was applied.

        Without `wait`: return the result if every star is finished already, else None. Raises BatchError.
        """
        try:
            await self._apply(request)
            return await self.wait(seconds) if wait else await self._look()
        except asyncio.CancelledError:
            self.log.info("Killed: cancelling the unfinished stars")
            await self.cancel()
            raise

    async def wait(self, seconds: float | None) -> BatchResult:
        """The result when every star is finished; after `seconds` the unfinished ones are cancelled."""
        follower = self._follower()
        result = await follower.follow(seconds)
        if result.timed_out:
            result = replace(result, cancelled=await self.cancel())
        return await self._with_file(result, follower)

    async def cancel(self) -> int:
        """Cancel the unfinished stars and return their number; if that fails, log how to do it by hand."""
        batch = self.batch
        try:
            number = await cancel_batch(self.client, batch)
        except Exception as error:
            self.log.error(
                "The stars of the batch %s were not all cancelled: %s: %s. "
                "To do so, patch spec.desiredState to Cancel: kubectl -n %s get sp -l %s=%s",
                batch.id,
                type(error).__name__,
                error,
                batch.namespace,
                BATCH_LABEL,
                batch.id,
            )
            return 0
        self.log.info("Cancelled %d unfinished stars of the batch %s", number, batch.id)
        return number

    async def _apply(self, request: RerunRequest | None) -> None:
        batch, began = self.batch, time.monotonic()
        self.log.info(
            "Batch %s: %d stars of campaign %s through %s in namespace %s",
            batch.id,
            len(batch.stars),
            batch.campaign,
            batch.pipeline,
            batch.namespace,
        )
        try:
            applied = await apply_batch(self.client, batch, request)
        except BatchError:
            # Nothing waits for the stars that were applied.
            await self.cancel()
            raise
        counts = ", ".join(f"{number} {action}" for action, number in applied.items())
        self.log.info("Applied the StarProcessing resources in %.1f s: %s", time.monotonic() - began, counts)

    async def _look(self) -> BatchResult | None:
        """The result if every star is finished already; None if not, or if the server is overloaded."""
        follower = self._follower()
        try:
            result = await follower.look()
        except Exception as error:
            if is_transient(error):
                return None
            raise
        return None if result.unfinished else await self._with_file(result, follower)

    def _follower(self) -> BatchFollower:
        waiting, keep_all = self.waiting, self.waiting.failed_stars_path is not None
        return BatchFollower(
            self.client, self.batch, self.log, waiting.report_seconds, waiting.rejected_seconds, keep_all
        )

    async def _with_file(self, result: BatchResult, follower: BatchFollower) -> BatchResult:
        path = self.waiting.failed_stars_path
        if path is None or not result.failed:
            return result
        return replace(result, failed_stars_file=await write_failed_stars(path, follower.progress.failures, self.log))
