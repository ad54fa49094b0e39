"""Take keys from a queue and reconcile them."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from plato_sas.controller import metrics
from plato_sas.controller.kube.client import ApiError
from plato_sas.controller.work.queue import WorkQueue

logger = logging.getLogger(__name__)

Reconcile = Callable[[str], Awaitable[float | None]]
"""Reconciles a resource; returns the seconds after which to look again without an event. Raises ApiError."""


async def work(queue: WorkQueue, reconcile: Reconcile, field: str) -> None:
    """Work until cancelled; retry failures at growing intervals. `field`: the name's key in the log."""
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
            # An unexpected error of one resource must not stop the others.
            outcome = "error"
            fields = {field: name, "retry_in": queue.retry(name)}
            logger.exception("Reconciliation failed", extra=fields)
        finally:
            queue.done(name)
            metrics.RECONCILES.labels(kind, outcome).observe(time.monotonic() - started)
        # With a full queue of resources at rest nothing here waits: yield, so that they do not block the event loop.
        await asyncio.sleep(0)
