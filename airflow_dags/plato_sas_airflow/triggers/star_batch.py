"""The trigger that waits for one batch of stars in Airflow's triggerer."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from airflow.triggers.base import TriggerEvent
from airflow.utils.state import TaskInstanceState
from asgiref.sync import sync_to_async

from plato_sas_airflow.batches.batch import Batch
from plato_sas_airflow.batches.processing import BatchProcessing
from plato_sas_airflow.batches.waiting import Waiting
from plato_sas_airflow.hooks.star_processing import StarProcessingHook
from plato_sas_airflow.triggers.task import TaskTrigger

# Enough to request the task's state from Airflow and to patch a thousand stars.
_KILL_SECONDS = 180.0
# References to running tasks, which the event loop does not keep.
_unfinished: set[asyncio.Task[None]] = set()


class StarBatchTrigger(TaskTrigger):
    """Follows a batch with one watch, and fires once: when every star is finished, or the deadline has passed.

    It has no state of its own: the same trigger in another triggerer finds the same stars by their label.

    :param batch: what `Batch.serialize` returns.
    :param kubernetes_conn_id: connection of the type `kubernetes` or `plato_sas`.
    :param deadline: seconds since the epoch, when unfinished stars are cancelled; None: no deadline.
    :param waiting: what `Waiting.serialize` returns.
    """

    def __init__(
        self,
        batch: Mapping[str, Any],
        kubernetes_conn_id: str,
        deadline: float | None = None,
        waiting: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(kubernetes_conn_id)
        self.batch = Batch.deserialize(batch)
        self.deadline = deadline
        self.waiting = Waiting.deserialize(waiting or {})

    def arguments(self) -> dict[str, Any]:
        return {
            "batch": self.batch.serialize(),
            "deadline": self.deadline,
            "waiting": self.waiting.serialize(),
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        async with StarProcessingHook(self.kubernetes_conn_id).client() as client:
            left = None if self.deadline is None else max(0.0, self.deadline - time.time())
            result = await BatchProcessing(client, self.batch, self.waiting, self.log).wait(left)
        yield TriggerEvent(result.serialize())  # type: ignore[no-untyped-call]

    async def on_kill(self) -> None:
        """Cancel the stars, because a user has marked the task failed or successful, cleared it or deleted its run.

        Airflow (3.3 and later) calls this when the trigger is taken from this triggerer. That also happens when another
        triggerer takes over because this one's heartbeat was late: the task is then still deferred, and the stars
        continue. They also continue if the task's state cannot be determined.

        Airflow 3.3 cancels a trigger, and with it this method, about once a second until the trigger has finished. The
        work is therefore a separate task, which survives that.
        """
        work = asyncio.create_task(self._cancel_stars())
        _unfinished.add(work)
        work.add_done_callback(_unfinished.discard)
        while not work.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(work)

    async def _cancel_stars(self) -> None:
        try:
            async with asyncio.timeout(_KILL_SECONDS):
                state = await self._task_state()
                if state == TaskInstanceState.DEFERRED:
                    self.log.info("The task is still deferred: its stars continue under another triggerer")
                    return
                async with StarProcessingHook(self.kubernetes_conn_id).client() as client:
                    await BatchProcessing(client, self.batch, self.waiting, self.log).cancel()
        except Exception as error:
            self.log.error(
                "Stars of the batch %s were not cancelled: %s: %s", self.batch.id, type(error).__name__, error
            )

    async def _task_state(self) -> str | None:
        """The task instance's present state; None if it has none or no longer exists."""
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        task = self.task_instance
        if task is None:
            raise RuntimeError("the trigger runs outside a task")
        states: dict[str, dict[str, str | None]] = await sync_to_async(RuntimeTaskInstance.get_task_states)(
            dag_id=task.dag_id, task_ids=[task.task_id], run_ids=[task.run_id], map_index=task.map_index
        )
        key = task.task_id if task.map_index < 0 else f"{task.task_id}_{task.map_index}"
        return states.get(task.run_id, {}).get(key)
