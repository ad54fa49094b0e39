"""The operator of a campaign's catalogue."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperatorLink, Context
from airflow.sdk.exceptions import AirflowFailException

from plato_sas.api import CatalogueState
from plato_sas_airflow.catalogues.resource import (
    DELETED,
    UNFINISHED,
    CatalogueRef,
    WantedCatalogue,
    catalogue_name,
    checked_spec,
    state_at_rest,
    summary,
)
from plato_sas_airflow.errors import BatchError, as_airflow
from plato_sas_airflow.kube.resource import Resource
from plato_sas_airflow.links.star_processing import CampaignLink
from plato_sas_airflow.operators.arguments import is_known, namespace_of
from plato_sas_airflow.operators.task import CampaignTask, token_of
from plato_sas_airflow.settings import DEFAULT_CONNECTION
from plato_sas_airflow.stars.values import decoded, names_of, optional_text, text_of


class StarCatalogueOperator(CampaignTask):
    """Makes tables of a campaign's results: applies one StarCatalogue, and waits until it has succeeded.

    An existing catalogue is made again, since products may have changed: once per run or clear of the task, not for
    Airflow's retries. The task fails if it exists with other tables.

    The task fails if the catalogue failed, was deleted, stayed rejected or was not made in time. Airflow does not retry
    that: the operator in the cluster has already retried what may pass with time. A user's kill does not stop the
    catalogue's Job: it publishes everything or nothing, and the next one replaces it.

    It returns (XCom `return_value`, pushed also if it fails): `name`, `state`, `message`, `stars` (counts), `tables`
    (rows and files with their SHA-256), times.

    :param campaign: campaign (quarter) of the products.
    :param pipeline: name of the StarPipeline that made them.
    :param tables: as in a StarCatalogue, or this as JSON text.
    :param stars: only these, at most 1000; by default every star of the campaign.
    :param name: name of the StarCatalogue and of the folder with its files; by default made of campaign and pipeline.
    :param namespace: where the resource is; by default the connection's.
    :param job_resources: `cpu` and `memory` of the catalogue's Job.
    :param catalogue_timeout: time limit of one attempt of the Job, such as `6h`.
    :param timeout: how long the task waits; after that the catalogue's Job continues. None: no limit.
    :param rejected_after: a catalogue that stays `Rejected` for longer has failed.
    :param kubernetes_conn_id: connection of the type `kubernetes` or `plato_sas`.
    :param deferrable: wait in the triggerer; False occupies a worker for the whole time.

    Raises BatchError, while the DAG is parsed, for arguments that are not valid.
    """

    template_fields: Sequence[str] = (
        "campaign",
        "pipeline",
        "tables",
        "stars",
        "name",
        "namespace",
        "job_resources",
        "catalogue_timeout",
        "kubernetes_conn_id",
    )
    template_fields_renderers = {"tables": "json", "job_resources": "json"}
    operator_extra_links: Collection[BaseOperatorLink] = (CampaignLink(),)
    ui_color = "#dce6f5"

    def __init__(
        self,
        *,
        campaign: str,
        pipeline: str,
        tables: Sequence[Mapping[str, Any]] | str,
        stars: Sequence[str] | str | None = None,
        name: str | None = None,
        namespace: str | None = None,
        job_resources: Mapping[str, str] | str | None = None,
        catalogue_timeout: str | None = None,
        timeout: timedelta | None = timedelta(hours=12),
        rejected_after: timedelta = timedelta(minutes=5),
        kubernetes_conn_id: str = DEFAULT_CONNECTION,
        deferrable: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.campaign = campaign
        self.pipeline = pipeline
        self.tables = tables
        self.stars = stars
        self.name = name
        self.namespace = namespace
        self.job_resources = job_resources
        self.catalogue_timeout = catalogue_timeout
        self.timeout = timeout
        self.rejected_after = rejected_after
        self.kubernetes_conn_id = kubernetes_conn_id
        self.deferrable = deferrable
        if all(is_known(one) for one in (campaign, pipeline, tables, stars, job_resources, catalogue_timeout)):
            self.spec()

    def spec(self) -> dict[str, Any]:
        """The StarCatalogue's spec. Raises BatchError."""
        return checked_spec(
            {
                "campaign": text_of("campaign", self.campaign),
                "pipeline": text_of("pipeline", self.pipeline),
                "tables": decoded("tables", self.tables),
                "stars": names_of("stars", self.stars),
                "resources": decoded("job_resources", self.job_resources),
                "timeout": optional_text("catalogue_timeout", self.catalogue_timeout),
            }
        )

    def wanted(self, context: Context) -> WantedCatalogue:
        """The catalogue that this task requests. Raises BatchError."""
        task = context["ti"]
        spec = self.spec()
        return WantedCatalogue(
            name=optional_text("name", self.name) or catalogue_name(spec["campaign"], spec["pipeline"]),
            namespace=namespace_of(self),
            spec=spec,
            token=token_of(task, self.retries),
            origin=f"{task.dag_id}/{task.run_id}/{task.task_id}",
        )

    def execute(self, context: Context) -> dict[str, Any]:
        deadline = self.wait_until()
        rejected_seconds = self.rejected_after.total_seconds()
        try:
            wanted = self.wanted(context)
            self.log.info(
                "Catalogue %s of campaign %s in namespace %s", wanted.name, wanted.spec["campaign"], wanted.namespace
            )
            made = asyncio.run(self._apply(wanted))
            catalogue, state = CatalogueRef.of(made), state_at_rest(made)
            if state is not None and state.final:
                return self._conclude(context, summary(made))
            if not self.deferrable:
                end = asyncio.run(self._wait(catalogue, deadline, rejected_seconds))
                return self._conclude(context, end)
        except BatchError as error:
            raise as_airflow(error) from error
        from plato_sas_airflow.triggers.star_catalogue import StarCatalogueTrigger

        return self.wait_in_triggerer(
            StarCatalogueTrigger(catalogue.serialize(), self.kubernetes_conn_id, deadline, rejected_seconds)
        )

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Called by Airflow with the trigger's event."""
        return self._conclude(context, event)

    async def _apply(self, wanted: WantedCatalogue) -> Resource:
        from plato_sas_airflow.catalogues.client import StarCatalogueClient
        from plato_sas_airflow.hooks.star_processing import StarProcessingHook

        async with StarProcessingHook(self.kubernetes_conn_id).get_conn() as connection:
            return await StarCatalogueClient(connection).ensure(wanted)

    async def _wait(self, catalogue: CatalogueRef, deadline: float | None, rejected_seconds: float) -> dict[str, Any]:
        from plato_sas_airflow.catalogues.waiting import wait_for_catalogue
        from plato_sas_airflow.hooks.star_processing import StarProcessingHook

        async with StarProcessingHook(self.kubernetes_conn_id).get_conn() as connection:
            return await wait_for_catalogue(connection, catalogue, self.log, deadline, rejected_seconds)

    def _conclude(self, context: Context, end: dict[str, Any]) -> dict[str, Any]:
        """Log the result, and return it or fail with it. Only the state `Succeeded` is a success."""
        for table in end.get("tables") or []:
            for file in table.get("files") or []:
                self.log.info("Table %s: %s rows, %s", table["name"], table["rows"], file["path"])
        if end["state"] == CatalogueState.SUCCEEDED:
            return end
        context["ti"].xcom_push(key="return_value", value=end)
        why = {
            DELETED: "it was deleted before it was finished",
            UNFINISHED: f"it is not finished after {self.timeout}; the operator continues with it",
        }.get(end["state"], f"{end['state']}: {end.get('message') or 'no message'}")
        raise AirflowFailException(f"Catalogue {end['name']}: {why}")
