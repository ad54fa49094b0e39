"""### A quarter

Processes the stars of a target list with a pipeline, and makes a catalogue of the results.

The list is CSV, VOTable, FITS or ECSV, with the column `star` and optionally `sample` and `priority`. Rows that are not
valid are recorded and left out; too many of them fail the run. The stars are processed in batches, those of higher
priority first. A batch that fails can be cleared: only unfinished and failed stars are processed again, and the run
continues. At the end the asset `plato-sas://<campaign>` is updated.

Airflow creates and watches StarProcessing and StarCatalogue resources; the operator in the cluster does the work.
"""

from pathlib import Path
from typing import Any

from airflow.sdk import Asset, Param, TriggerRule, dag, task

from plato_sas_airflow.mission import forms
from plato_sas_airflow.mission.campaigns import all_campaigns
from plato_sas_airflow.operators.star_batch import StarBatchOperator
from plato_sas_airflow.operators.star_catalogue import StarCatalogueOperator
from plato_sas_airflow.settings import Settings

SETTINGS = Settings.read()
TABLES = SETTINGS.catalogue_tables or str(Path(__file__).parent / "catalogues")


@dag(
    schedule=Asset(SETTINGS.targets_asset),
    description="Processes the stars of a target list, and makes a catalogue of the results",
    doc_md=__doc__,
    max_active_runs=2,
    params={
        **forms.campaign(SETTINGS),
        **forms.target_list(SETTINGS),
        **forms.place(SETTINGS, __file__),
        **forms.previous(SETTINGS),
        **forms.parameters(),
        **forms.batches(SETTINGS),
        "catalogue": Param(True, type="boolean", title="Catalogue", description="Make a catalogue of the results."),
    },
    **forms.common(SETTINGS, "quarter"),
)
def plato_sas_quarter() -> None:
    @task(multiple_outputs=True)
    def request(params: dict[str, Any], triggering_asset_events: Any, dag_run: Any) -> dict[str, Any]:
        """The request: the form's fields, or those of the asset event."""
        from plato_sas_airflow.mission.tasks.lists import folder_of
        from plato_sas_airflow.mission.tasks.quarter import quarter_request

        return quarter_request(params, triggering_asset_events, folder_of(SETTINGS, dag_run))

    @task
    def tables(asked: dict[str, Any]) -> list[dict[str, Any]]:
        """The catalogue's tables, read before any star runs."""
        from plato_sas_airflow.mission.tasks.quarter import catalogue_tables

        return catalogue_tables(TABLES, asked)

    @task(trigger_rule=TriggerRule.NONE_FAILED)
    def plan(asked: dict[str, Any]) -> list[dict[str, Any]]:
        """Read and check the target list, and write the batches."""
        from plato_sas_airflow.mission.tasks.quarter import plan_quarter

        return plan_quarter(SETTINGS, asked)

    @task(trigger_rule=TriggerRule.NONE_FAILED, outlets=[all_campaigns()])
    def announce(asked: dict[str, Any], results: Any, catalogue: dict[str, Any] | None, outlet_events: Any) -> Any:
        """Sum up, and update the campaign's asset."""
        from plato_sas_airflow.mission.tasks.quarter import announce_campaign

        return announce_campaign(asked, results, catalogue, outlet_events)

    asked = request()  # type: ignore[call-arg]
    wanted = tables(asked)  # type: ignore[arg-type]
    planned = plan(asked)  # type: ignore[arg-type]
    batches = StarBatchOperator.partial(
        task_id="stars",
        campaign=asked["campaign"],
        pipeline=asked["pipeline"],
        namespace=asked["namespace"],
        previous_campaign=asked["previous_campaign"],
        parameters=asked["parameters"],
        max_failed_fraction=asked["max_failed_fraction"],
        max_active_tis_per_dagrun=SETTINGS.batches_at_once,
        map_index_template="{{ task.stars_file.rsplit('/', 1)[-1] }}",
        **forms.star_tasks(SETTINGS),
    ).expand_kwargs(planned)
    catalogue = StarCatalogueOperator(
        task_id="catalogue",
        campaign=asked["campaign"],
        pipeline=asked["pipeline"],
        namespace=asked["namespace"],
        tables=wanted,
        timeout=SETTINGS.catalogue_timeout,
        kubernetes_conn_id=SETTINGS.connection,
    )
    wanted >> planned
    batches >> catalogue
    announce(asked, batches.output, catalogue.output)  # type: ignore[arg-type, call-arg]


plato_sas_quarter()
