"""The operator: one task is a batch of stars."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from plato_sas_airflow.batch import Batch, BatchError, batch_id, stars_of
from plato_sas_airflow.client import StarProcessingClient
from plato_sas_airflow.following import BatchFollower
from plato_sas_airflow.hooks.star_processing import StarProcessingHook
from plato_sas_airflow.progress import BatchResult
from plato_sas_airflow.triggers.star_batch import StarBatchTrigger


class StarsFailed(AirflowFailException):
    """Not every star of the batch succeeded.

    Airflow does not retry the task: the operator in the cluster has already tried again what may pass with time.
    Clearing the task processes those stars again that did not succeed.
    """


class StarBatchOperator(BaseOperator):
    """Processes a batch of stars: applies one StarProcessing a star, and waits until all of them have ended.

    Resources that exist are adopted: a star that has succeeded with the same parameters counts at once, one under way
    is waited for. One that failed, was cancelled or had other parameters is processed again, so a cleared task or a new
    run does only what is not done; `retries` are for a lost worker or an API server that is away. Whoever applied a
    star last may cancel it; earlier batches still see how it ends.

    A user's kill (mark failed or successful, clear, delete the run) cancels the unfinished stars; a restart of the
    triggerer, the scheduler or the API server changes nothing.

    The task fails if any star failed, was cancelled, rejected or deleted. What it returns (XCom `return_value`, pushed
    also when it fails): `total`, `succeeded`, `failed`, `unfinished`, and `failures`, the first 100 failed stars with
    step, exit code and last log lines.

    :param stars: star identifiers, or the JSON text of a list of them (as `"{{ params.stars | tojson }}"` renders).
    :param campaign: campaign (quarter) of the products.
    :param pipeline: name of the StarPipeline.
    :param namespace: where the resources are.
    :param parameters: per step, values for its module's parameters.
    :param priority: -1000 to 1000; stars of higher priority are started first.
    :param kubernetes_conn_id: connection of the type `kubernetes`.
    :param timeout: how long the batch may take; then its unfinished stars are cancelled and the task fails.
        None: for ever.
    :param report_seconds: the counts are logged so often.
    :param deferrable: wait in the triggerer; False keeps a worker for the whole time.
    """

    template_fields: Sequence[str] = (
        "stars",
        "campaign",
        "pipeline",
        "namespace",
        "parameters",
        "kubernetes_conn_id",
    )
    ui_color = "#dce6f5"

    def __init__(
        self,
        *,
        stars: Sequence[str] | str,
        campaign: str,
        pipeline: str,
        namespace: str,
        parameters: Mapping[str, Mapping[str, int | str]] | None = None,
        priority: int = 0,
        kubernetes_conn_id: str = KubernetesHook.default_conn_name,
        timeout: timedelta | None = timedelta(days=7),
        report_seconds: float = 30.0,
        deferrable: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.stars = stars
        self.campaign = campaign
        self.pipeline = pipeline
        self.namespace = namespace
        self.parameters = parameters
        self.priority = priority
        self.kubernetes_conn_id = kubernetes_conn_id
        self.timeout = timeout
        self.report_seconds = report_seconds
        self.deferrable = deferrable
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        try:
            batch = self.batch(context)
            result = asyncio.run(self._process(batch))
        except BatchError as error:
            # Another try would find the same.
            raise AirflowFailException(str(error)) from error
        except asyncio.CancelledError:
            raise AirflowFailException("killed; its unfinished stars were cancelled") from None
        if result is None:
            trigger = StarBatchTrigger(
                batch.serialize(), self.kubernetes_conn_id, self._deadline(), self.report_seconds
            )
            self.defer(trigger=trigger, method_name="execute_complete")
            raise AssertionError("unreachable: defer() raises")
        return self._conclude(context, batch, result)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Called by Airflow with what the trigger fired."""
        return self._conclude(context, self.batch(context), BatchResult.deserialize(event))

    def on_kill(self) -> None:
        """Airflow's signal handler calls this in the worker. The stars are cancelled by `_process` as it ends."""
        if self._running is not None:
            loop, task = self._running
            loop.call_soon_threadsafe(task.cancel)

    def batch(self, context: Context) -> Batch:
        """The batch of this task instance. Raises BatchError when it is not valid."""
        task = context["ti"]
        map_index = -1 if task.map_index is None else task.map_index
        return Batch(
            id=batch_id(task.dag_id, task.run_id, task.task_id, map_index),
            namespace=self.namespace,
            campaign=str(self.campaign),
            pipeline=self.pipeline,
            stars=stars_of(self.stars),
            parameters={step: dict(values) for step, values in (self.parameters or {}).items()},
            priority=self.priority,
            try_number=task.try_number,
            origin=f"{task.dag_id}/{task.run_id}/{task.task_id}" + (f"/{map_index}" if map_index >= 0 else ""),
        )

    async def _process(self, batch: Batch) -> BatchResult | None:
        """Apply the batch; wait for its end unless the trigger does that (None). Killed, cancel what was applied."""
        current = asyncio.current_task()
        assert current is not None
        self._running = (asyncio.get_running_loop(), current)
        async with StarProcessingHook(self.kubernetes_conn_id).client() as client:
            try:
                await self._apply(client, batch)
                follower = BatchFollower(client, batch, self.log, self.report_seconds)
                if self.deferrable:
                    # Nothing is left to wait for where all stars were done before.
                    result = await follower.look()
                    return None if result.unfinished else result
                return await follower.follow(None if self.timeout is None else self.timeout.total_seconds())
            except asyncio.CancelledError:
                number = await client.cancel_batch(batch)
                self.log.info("Killed: cancelled %d unfinished stars", number)
                raise
            finally:
                self._running = None

    async def _apply(self, client: StarProcessingClient, batch: Batch) -> None:
        began = time.monotonic()
        self.log.info(
            "Batch %s: %d stars of campaign %s through %s in namespace %s",
            batch.id,
            len(batch.stars),
            batch.campaign,
            batch.pipeline,
            batch.namespace,
        )
        try:
            applied = await client.apply_batch(batch)
        except BatchError:
            # Nothing waits for the others any more.
            await client.cancel_batch(batch)
            raise
        counts = ", ".join(f"{number} {action}" for action, number in applied.items())
        self.log.info("Applied the StarProcessing resources in %.1f s: %s", time.monotonic() - began, counts)

    def _deadline(self) -> float | None:
        return None if self.timeout is None else time.time() + self.timeout.total_seconds()

    def _conclude(self, context: Context, batch: Batch, result: BatchResult) -> dict[str, Any]:
        """Log the end, cancel what ran out of time, and give the result or fail with it."""
        content = result.serialize()
        for failure in result.failures:
            self.log.error("%s", failure.text())
        if result.failed > len(result.failures):
            self.log.error("and %d more failed stars", result.failed - len(result.failures))
        text = f"{result.succeeded} of {result.total} stars succeeded, {result.failed} failed"
        if result.timed_out:
            number = StarProcessingHook(self.kubernetes_conn_id).cancel_batch(batch)
            text += f", {result.unfinished} had not finished in time ({number} of them cancelled)"
        self.log.info(text)
        if result.succeeded == result.total:
            return content
        context["ti"].xcom_push(key="return_value", value=content)
        raise StarsFailed(text)
