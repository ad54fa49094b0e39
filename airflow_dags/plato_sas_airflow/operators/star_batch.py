"""The operator of a batch of stars."""

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

    Airflow does not retry the task: the operator in the cluster has already retried what may pass with time. Clearing
    the task processes the stars again that did not succeed.
    """


class StarBatchOperator(CampaignTask):
    """Processes a batch of stars: applies one StarProcessing per star, and waits until every star is finished.

    Existing resources are adopted: a star that has succeeded with the same parameters and inputs counts at once, one
    under way is waited for, and one that failed or was cancelled runs again from the failed steps. A star of another
    task with other parameters or inputs is refused, and the task fails before anything is applied. A retry, a cleared
    task or another run over the same stars therefore does only what is left; `retries` are for a lost worker or an
    unreachable API server. Whoever applied a star last may cancel it; earlier batches still see its result.

    A user's kill (mark failed or successful, clear, delete the run) cancels the unfinished stars; a restart of the
    triggerer, the scheduler or the API server changes nothing.

    The task fails if more stars failed, were cancelled, deleted, stayed rejected or ran out of time than are accepted.
    It returns (XCom `return_value`, pushed also if it fails): `total`, `succeeded`, `failed`, `unfinished`,
    `cancelled`, `failures` (the first 100 failed stars with step, exit code and last log lines), `failures_omitted`
    (the number of the others) and `failed_stars_file`.

    :param stars: names of stars, or what `star_spec` returns for them; or such a list as JSON text (rendered by
        `"{{ params.stars | tojson }}"`, for instance). Either this or `stars_file`.
    :param stars_file: CSV with a header, or one name per line: a local path, or a URL of a storage that Airflow knows.
    :param stars_column: the column of the names; by default the one called `star`, else the first one.
    :param star_slice: `[start, stop]`: only these stars, counted from 0; meant for `expand` (see `batch_slices`).
    :param campaign: campaign (quarter) of the products.
    :param pipeline: name of the StarPipeline.
    :param namespace: where the resources are; by default the connection's.
    :param parameters: per step, values of its module's parameters; or this as JSON text.
    :param previous_campaign: the campaign whose products of the same star are the steps' `previous` inputs.
    :param stages: `Fused` or `PerStep`; by default the pipeline's.
    :param priority: -1000 to 1000; stars of higher priority are started first.
    :param star_deadline: time limit of a star, from its first Job, such as `6h`.
    :param star_ttl: how long a star's resource is kept in a final state, such as `7d`; by default the site's.
    :param rerun: process every star again, even if it has succeeded; steps for which nothing has changed are reused.
        Each star is rerun once per run or clear of the task, not for Airflow's retries.
    :param rerun_from: the same, and these steps run even if nothing has changed for them.
    :param max_failed_fraction: the task succeeds if no larger part of the stars failed; 0 to 1.
    :param accept_failures: the task succeeds whatever happens to the stars.
    :param failed_stars_path: where to write a CSV with all failed stars, if any failed; another batch can read it as
        `stars_file`. A local path (of the triggerer), or a URL of a storage that Airflow knows.
    :param rejected_after: a star that stays `Rejected` for longer has failed; until then it runs as soon as its
        pipeline is corrected. `timedelta(0)`: fails at once.
    :param timeout: time limit of the batch; its unfinished stars are then cancelled. None: no limit.
    :param report_seconds: interval between log lines with the counts; longer while nothing changes.
    :param kubernetes_conn_id: connection of the type `kubernetes` or `plato_sas`.
    :param deferrable: wait in the triggerer; False occupies a worker for the whole time.

    Raises BatchError, while the DAG is parsed, for arguments that are not valid.
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
        """Raises BatchError for arguments that are known while the DAG is parsed and not valid."""
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
        """Whether the task succeeds with this result."""
        tolerated = fraction_of("max_failed_fraction", self.max_failed_fraction)
        return self.accept_failures or result.failed_fraction <= tolerated

    def content(self, result: BatchResult) -> dict[str, Any]:
        """The task's XCom."""
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
        """Called by Airflow with the trigger's event."""
        return self._conclude(context, BatchResult.deserialize(event))

    def on_kill(self) -> None:
        """Called by Airflow's signal handler in the worker; the batch's processing then cancels the stars."""
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
        """The request to run stars again, if any."""
        steps = names_of("rerun_from", self.rerun_from)
        if not steps and not flag_of("rerun", self.rerun):
            return None
        return RerunRequest(token_of(context["ti"], self.retries), tuple(steps))

    def _waiting(self) -> Waiting:
        path = optional_text("failed_stars_path", self.failed_stars_path)
        return Waiting(self.report_seconds, self.rejected_after.total_seconds(), path)

    async def _process(self, batch: Batch, request: RerunRequest | None) -> BatchResult | None:
        """The result, or None if the trigger will wait for it; `on_kill` can cancel this."""
        from plato_sas_airflow.batches.processing import BatchProcessing
        from plato_sas_airflow.hooks.star_processing import StarProcessingHook

        current = asyncio.current_task()
        assert current is not None
        self._running = (asyncio.get_running_loop(), current)
        seconds = None if self.timeout is None else self.timeout.total_seconds()
        try:
            async with StarProcessingHook(self.kubernetes_conn_id).client() as client:
                processing = BatchProcessing(client, batch, self._waiting(), self.log)
                return await processing.run(request, seconds, wait=not self.deferrable)
        finally:
            self._running = None

    def _conclude(self, context: Context, result: BatchResult) -> dict[str, Any]:
        """Log the result, and return it or fail with it."""
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
