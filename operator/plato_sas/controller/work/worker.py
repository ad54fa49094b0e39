"""What takes keys from a queue and has them reconciled."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from plato_sas.controller import metrics
from plato_sas.controller.kube.client import ApiError
from plato_sas.controller.work.queue import WorkQueue

logger = logging.getLogger(__name__)

Reconcile = Callable[[str], Awaitable[float | None]]
"""Brings what a key names further; when to look again without an event, in seconds. Raises ApiError."""


async def work(queue: WorkQueue, reconcile: Reconcile, field: str) -> None:
    """Until cancelled; what fails is tried again, ever more slowly. `field`: has the name in the log."""
    kind = queue.kind.name
    while True:
        name = await queue.get()
        started = time.monotonic()
        outcome = "ok"
        try:
            again = await reconcile(name)
            queue.succeeded(name)
            if again is not None:
                queue.add_after(name, again)
        except ApiError as error:
            outcome = "api_error"
            fields = {field: name, "error": str(error), "retry_in": queue.retry(name)}
            logger.warning("API request failed", extra=fields)
        except Exception:
            # One resource's surprise must not stop the others.
            outcome = "error"
            fields = {field: name, "retry_in": queue.retry(name)}
            logger.exception("Reconciliation failed", extra=fields)
        finally:
            queue.done(name)
            metrics.RECONCILES.labels(kind, outcome).observe(time.monotonic() - started)
        # Neither a full queue nor a resource at rest waits for anything: thousands of them would stop all else.
        await asyncio.sleep(0)
