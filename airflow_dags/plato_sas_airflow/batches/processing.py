"""A batch from its first request to its result: what the operator does in a worker, and the trigger in a triggerer."""

import asyncio
import time
from dataclasses import replace

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


async def process_batch(
    client: StarProcessingClient,
    batch: Batch,
    wish: RerunRequest | None,
    waiting: Waiting,
    log: Log,
    seconds: float | None,
    to_the_end: bool,
) -> BatchResult | None:
    """Apply the batch and wait for its end; when cancelled, cancel what was applied.

    Not `to_the_end`: give the result if every star has ended already, else None. Raises BatchError.
    """
    try:
        await _apply(client, batch, wish, log)
        if to_the_end:
            return await wait_for_batch(client, batch, waiting, log, seconds)
        return await _look_at_batch(client, batch, waiting, log)
    except asyncio.CancelledError:
        log.info("Killed: cancelling the unfinished stars")
        await cancel_or_tell(client, batch, log)
        raise


async def _apply(client: StarProcessingClient, batch: Batch, wish: RerunRequest | None, log: Log) -> None:
    began = time.monotonic()
    log.info(
        "Batch %s: %d stars of campaign %s through %s in namespace %s",
        batch.id,
        len(batch.stars),
        batch.campaign,
        batch.pipeline,
        batch.namespace,
    )
    try:
        applied = await apply_batch(client, batch, wish)
    except BatchError:
        # Nothing waits for the others any more.
        await cancel_or_tell(client, batch, log)
        raise
    counts = ", ".join(f"{number} {action}" for action, number in applied.items())
    log.info("Applied the StarProcessing resources in %.1f s: %s", time.monotonic() - began, counts)


async def _look_at_batch(client: StarProcessingClient, batch: Batch, waiting: Waiting, log: Log) -> BatchResult | None:
    """The result if every star has ended already; None if not, and if the server is too busy to tell."""
    follower = _follower(client, batch, waiting, log)
    try:
        result = await follower.look()
    except Exception as error:
        if is_transient(error):
            return None
        raise
    return None if result.unfinished else await _with_file(result, follower, waiting, log)


async def wait_for_batch(
    client: StarProcessingClient, batch: Batch, waiting: Waiting, log: Log, seconds: float | None
) -> BatchResult:
    """The result when every star has ended; after `seconds` those that have not are cancelled."""
    follower = _follower(client, batch, waiting, log)
    result = await follower.follow(seconds)
    if result.timed_out:
        result = replace(result, cancelled=await cancel_or_tell(client, batch, log))
    return await _with_file(result, follower, waiting, log)


def _follower(client: StarProcessingClient, batch: Batch, waiting: Waiting, log: Log) -> BatchFollower:
    keep_all = waiting.failed_stars_path is not None
    return BatchFollower(client, batch, log, waiting.report_seconds, waiting.rejected_seconds, keep_all)


async def cancel_or_tell(client: StarProcessingClient, batch: Batch, log: Log) -> int:
    """Cancel the unfinished stars and give their number; where that fails, tell how to do it by hand."""
    try:
        number = await cancel_batch(client, batch)
    except Exception as error:
        log.error(
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
    log.info("Cancelled %d unfinished stars of the batch %s", number, batch.id)
    return number


async def _with_file(result: BatchResult, follower: BatchFollower, waiting: Waiting, log: Log) -> BatchResult:
    if waiting.failed_stars_path is None or not result.failed:
        return result
    written = await write_failed_stars(waiting.failed_stars_path, follower.progress.failures, log)
    return replace(result, failed_stars_file=written)
