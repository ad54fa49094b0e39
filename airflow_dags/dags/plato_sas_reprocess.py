"""### Reprocess stars of a campaign

Processes stars of a campaign again: those that are named, those of a list (such as a batch's file of failed stars), or
else those in certain states, by default `Failed`. They keep their parameters, inputs and previous campaign; the form's
parameters are merged into theirs. Steps for which nothing has changed are reused, unless the form says that they run
again.
"""

from typing import Any

from airflow.sdk import Param, dag, task

from plato_sas_airflow.mission import forms
from plato_sas_airflow.operators.star_batch import StarBatchOperator
from plato_sas_airflow.settings import Settings

SETTINGS = Settings.read()
STATES = ["Failed", "Cancelled", "Rejected", "Succeeded"]


@dag(
    schedule=None,
    description="Processes stars of a campaign again, from a step or with other parameters",
    doc_md=__doc__,
    params={
        **forms.campaign(SETTINGS),
        **forms.place(SETTINGS, __file__),
        **forms.stars(),
        "target_list": Param(
            None,
            type=["string", "null"],
            maxLength=1024,
            title="List of stars",
            description="Path or URL of a list with the stars, such as a batch's failed stars.",
        ),
        "states": forms.states(STATES, "Failed", "If no stars are given: all stars in these states."),
        "failed_steps": forms.steps("Failed steps", "Of these, only stars that failed at one of these steps."),
        "rerun_from": forms.steps("Run again from", "These steps run even if nothing has changed for them."),
        **forms.parameters(),
        **forms.previous(SETTINGS),
        **forms.batches(SETTINGS),
    },
    **forms.common(SETTINGS, "reprocess"),
)
def plato_sas_reprocess() -> None:
    @task
    def select(params: dict[str, Any], dag_run: Any) -> list[dict[str, Any]]:
        """Find the stars, and write the batches."""
        from plato_sas_airflow.mission.tasks.lists import folder_of
        from plato_sas_airflow.mission.tasks.reprocess import plan_reprocessing

        return plan_reprocessing(SETTINGS, params, folder_of(SETTINGS, dag_run))

    StarBatchOperator.partial(
        task_id="stars",
        campaign="{{ params.campaign }}",
        pipeline="{{ params.pipeline }}",
        namespace="{{ params.namespace or '' }}",
        rerun=True,
        rerun_from="{{ params.rerun_from | tojson }}",
        max_failed_fraction="{{ params.max_failed_fraction }}",
        max_active_tis_per_dagrun=SETTINGS.batches_at_once,
        kubernetes_conn_id=SETTINGS.connection,
        pool=SETTINGS.pool,
        timeout=SETTINGS.batch_timeout,
    ).expand_kwargs(select())  # type: ignore[call-arg]


plato_sas_reprocess()
