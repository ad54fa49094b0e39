"""The operator: one task is a batch of stars."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperatorLink, Context
from airflow.sdk.exceptions import AirflowFailException

from plato_sas_airflow.batches.adoption import RerunRequest
from plato_sas_airflow.batches.batch import Batch
from plato_sas_airflow.batches.results import BatchResult
from plato_sas_airflow.batches.waiting import Waiting
from plato_sas_airflow.errors import BatchError, as_airflow
from plato_sas_airflow.links.star_processing import CampaignLink
from plato_sas_airflow.operators.arguments import check, check_stars, namespace_of
from plato_sas_airflow.operators.task import CampaignTask, id_of, map_index_of, token_of
from plato_sas_airflow.settings import DEFAULT_CONNECTION
from plato_sas_airflow.stars.files import read_stars
from plato_sas_airflow.stars.star import Star, stars_of
from plato_sas_airflow.stars.values import (
    flag_of,
    fraction_of,
    integer_of,
    names_of,
    optional_text,
    parameters_of,
    slice_of,
    text_of,
)


class StarsFailed(AirflowFailException):
    """More stars failed than are accepted.

    Airflow does not retry the task: the operator in the cluster has already tried again what may pass with time.
    Clearing the task processes those stars again that did not succeed.
    """


class StarBatchOperator(CampaignTask):
    """Processes a batch of stars: applies one StarProcessing a star, and waits until all of them have ended.

    Resources that exist are adopted: a star that has succeeded with the same parameters and inputs counts at once, one
    under way is waited for, one that failed or was cancelled runs again from what failed. A star of another task with
    other parameters or inputs is refused, and the task fails before anything is applied. So a retry, a cleared task and
    another run over the same stars do only what is not done; `retries` are for a lost worker or an API server that is
    away. Whoever applied a star last may cancel it; earlier batches still see how it ends.

    A user's kill (mark failed or successful, clear, delete the run) cancels the unfinished stars; a restart of the
    triggerer, the scheduler or the API server changes nothing.

    The task fails if more stars failed, were cancelled, deleted, stayed rejected or ran out of time than are accepted.
    What it returns (XCom `return_value`, pushed also when it fails): `total`, `succeeded`, `failed`, `unfinished`,
    `cancelled`, `failures` (the first 100 failed stars with step, exit code and last log lines), `failures_omitted`
    (how many more there are) and `failed_stars_file`.

    :param stars: names of stars, or what `star_spec` returns for them; or the JSON text of such a list (as
        `"{{ params.stars | tojson }}"` renders). Either this or `stars_file`.
    :param stars_file: CSV with a header, or one name a line: a local path, or a URL of a storage that Airflow knows.
    :param stars_column: the column of the names; the one called `star` by default, else the first one.
    :param star_slice: `[start, stop]`: only these of the stars, counted from 0; made for `expand` (`batch_slices`).
    :param campaign: campaign (quarter) of the products.
    :param pipeline: name of the StarPipeline.
    :param namespace: where the resources are; by default the connection's.
    :param parameters: per step, values for its module's parameters; or the JSON text of that.
    :param previous_campaign: whose products of the same star are the steps' `previous` inputs.
    :param stages: `Fused` or `PerStep`; what the pipeline says by default.
    :param priority: -1000 to 1000; stars of higher priority are started first.
    :param star_deadline: how long a star may take from its first Job, such as `6h`.
    :param star_ttl: how long a finished star stays, such as `7d`; the site's by default.
    :param rerun: process every star again, also those that have succeeded; steps for which nothing has changed are
        reused. Each star is rerun once for each time that the task is run or cleared, not for Airflow's own retries.
    :param rerun_from: the same, and these steps run although nothing has changed for them.
    :param max_failed_fraction: the task succeeds if no larger part of the stars failed; 0 to 1.
    :param accept_failures: the task succeeds whatever becomes of the stars.
    :param failed_stars_path: where a CSV with all failed stars is written, if any failed; another batch can read it as
        `stars_file`. A local path (of the triggerer), or a URL of a storage that Airflow knows.
    :param rejected_after: a star that stays `Rejected` so long has failed; it runs if its pipeline is mended before.
        `timedelta(0)`: at once.
    :param timeout: how long the batch may take; then its unfinished stars are cancelled. None: for ever.
    :param report_seconds: the counts are logged so often, less often while nothing changes.
    :param kubernetes_conn_id: connection of the type `kubernetes` or `plato_sas`.
    :param deferrable: wait in the triggerer; False keeps a worker for the whole time.

    Raises BatchError, while the DAG is parsed, for arguments that cannot be right.
    """

    template_fields: Sequence[str] = (
        "stars",
        "stars_file",
        "star_slice",
        "campaign",
        "pipeline",
        "namespace",
        "parameters",
        "previous_campaign",
        "stages",
        "priority",
        "star_deadline",
        "star_ttl",
        "rerun",
        "rerun_from",
        "max_failed_fraction",
        "failed_stars_path",
        "kubernetes_conn_id",
    )
    template_fields_renderers = {"parameters": "json", "rerun_from": "json"}
    operator_extra_links: Collection[BaseOperatorLink] = (CampaignLink(),)
    ui_color = "#dce6f5"

    def __init__(
        self,
        *,
        stars: Sequence[str | Mapping[str, Any]] | str | None = None,
        stars_file: str | None = None,
        stars_column: str | None = None,
        star_slice: Sequence[int] | str | None = None,
        campaign: str,
        pipeline: str,
        namespace: str | None = None,
        parameters: Mapping[str, Mapping[str, Any]] | str | None = None,
        previous_campaign: str | None = None,
        stages: str | None = None,
        priority: int | str = 0,
        star_deadline: str | None = None,
        star_ttl: str | None = None,
        rerun: bool | str = False,
        rerun_from: Sequence[str] | str | None = None,
        max_failed_fraction: float | str = 0.0,
        accept_failures: bool = False,
        failed_stars_path: str | None = None,
        rejected_after: timedelta = timedelta(minutes=5),
        timeout: timedelta | None = timedelta(days=7),
        report_seconds: float = 30.0,
        kubernetes_conn_id: str = DEFAULT_CONNECTION,
        deferrable: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.stars = stars
        self.stars_file = stars_file
        self.stars_column = stars_column
        self.star_slice = star_slice
        self.campaign = campaign
        self.pipeline = pipeline
        self.namespace = namespace
        self.parameters = parameters
        self.previous_campaign = previous_campaign
        self.stages = stages
        self.priority = priority
        self.star_deadline = star_deadline
        self.star_ttl = star_ttl
        self.rerun = rerun
        self.rerun_from = rerun_from
        self.max_failed_fraction = max_failed_fraction
        self.accept_failures = accept_failures
        self.failed_stars_path = failed_stars_path
        self.rejected_after = rejected_after
        self.timeout = timeout
        self.report_seconds = report_seconds
        self.kubernetes_conn_id = kubernetes_conn_id
        self.deferrable = deferrable
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None
        self.check_arguments()

    def check_arguments(self) -> None:
        """Raises BatchError for what cannot be right, as far as it is known while the DAG is parsed."""
        check(self)
        check_stars(self.stars, self.stars_file)

    def stars_to_process(self) -> list[Star]:
        """The task's stars. Raises BatchError."""
        path = optional_text("stars_file", self.stars_file)
        stars = stars_of(self.stars) if path is None else read_stars(path, self.stars_column)
        part = slice_of("star_slice", self.star_slice)
        if part is None:
            return stars
        if part[0] >= len(stars):
            raise BatchError(f"star_slice: it begins at {part[0]}, and there are {len(stars)} stars")
        return stars[slice(*part)]

    def accepted(self, result: BatchResult) -> bool:
        """The task succeeds with this result."""
        tolerated = fraction_of("max_failed_fraction", self.max_failed_fraction)
        return self.accept_failures or result.failed_fraction <= tolerated

    def content(self, result: BatchResult) -> dict[str, Any]:
        """What goes to XCom."""
        return result.serialize()

    def execute(self, context: Context) -> dict[str, Any]:
        try:
            batch, request = self.batch(context), self.rerun_request(context)
            result = asyncio.run(self._process(batch, request))
        except BatchError as error:
            raise as_airflow(error) from error
        except asyncio.CancelledError:
            raise AirflowFailException("killed; its unfinished stars were cancelled") from None
        if result is None:
            from plato_sas_airflow.triggers.star_batch import StarBatchTrigger

            self.wait_in_triggerer(
                StarBatchTrigger(
                    batch.serialize(), self.kubernetes_conn_id, self.wait_until(), self._waiting().serialize()
                )
            )
        return self._conclude(context, result)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Called by Airflow with what the trigger fired."""
        return self._conclude(context, BatchResult.deserialize(event))

    def on_kill(self) -> None:
        """Airflow's signal handler calls this in the worker. The batch's processing then cancels the stars."""
        if self._running is not None:
            loop, task = self._running
            loop.call_soon_threadsafe(task.cancel)

    def batch(self, context: Context) -> Batch:
        """The batch of this task instance. Raises BatchError when it is not valid."""
        task = context["ti"]
        map_index = map_index_of(task)
        return Batch(
            id=id_of(task),
            namespace=namespace_of(self),
            campaign=text_of("campaign", self.campaign),
            pipeline=text_of("pipeline", self.pipeline),
            stars=self.stars_to_process(),
            parameters=parameters_of("parameters", self.parameters),
            priority=integer_of("priority", self.priority),
            previous_campaign=optional_text("previous_campaign", self.previous_campaign),
            stages=optional_text("stages", self.stages),
            deadline=optional_text("star_deadline", self.star_deadline),
            ttl=optional_text("star_ttl", self.star_ttl),
            try_number=task.try_number,
            origin=f"{task.dag_id}/{task.run_id}/{task.task_id}" + (f"/{map_index}" if map_index >= 0 else ""),
        )

    def rerun_request(self, context: Context) -> RerunRequest | None:
        """What is to run again."""
        steps = names_of("rerun_from", self.rerun_from)
        if not steps and not flag_of("rerun", self.rerun):
            return None
        return RerunRequest(token_of(context["ti"], self.retries), tuple(steps))

    def _waiting(self) -> Waiting:
        path = optional_text("failed_stars_path", self.failed_stars_path)
        return Waiting(self.report_seconds, self.rejected_after.total_seconds(), path)

    async def _process(self, batch: Batch, request: RerunRequest | None) -> BatchResult | None:
        """The result, or None where the trigger waits for it; can be cancelled by `on_kill`."""
        from plato_sas_airflow.batches.processing import BatchProcessing
        from plato_sas_airflow.hooks.star_processing import StarProcessingHook

        current = asyncio.current_task()
        assert current is not None
        self._running = (asyncio.get_running_loop(), current)
        seconds = None if self.timeout is None else self.timeout.total_seconds()
        try:
            async with StarProcessingHook(self.kubernetes_conn_id).client() as client:
                processing = BatchProcessing(client, batch, self._waiting(), self.log)
                return await processing.run(request, seconds, to_the_end=not self.deferrable)
        finally:
            self._running = None

    def _conclude(self, context: Context, result: BatchResult) -> dict[str, Any]:
        """Log the end, and return the result or fail with it."""
        for failure in result.failures:
            self.log.error("%s", failure.text())
        if result.failures_omitted:
            where = f"all are in {result.failed_stars_file}" if result.failed_stars_file else "they are only counted"
            self.log.error("and %d more failed stars: %s", result.failures_omitted, where)
        self.log.info(result.text())
        content = self.content(result)
        if self.accepted(result):
            return content
        context["ti"].xcom_push(key="return_value", value=content)
        raise StarsFailed(result.text())
