"""### Arrivals

Starts the stars of a target list whose inputs have arrived: the light curve, the transit flag and, if the flag is true,
the transit removal kit. A run looks at all stars and starts those that are ready, in batches. It can be repeated at
will, since a star that is under way or finished is not started again.
"""

from typing import Any

from airflow.sdk import TriggerRule, dag, task

from plato_sas_airflow.mission import forms
from plato_sas_airflow.mission.campaigns import previous_campaign
from plato_sas_airflow.operators.star_batch import StarBatchOperator
from plato_sas_airflow.settings import Settings

SETTINGS = Settings.read()


@dag(
    schedule=SETTINGS.arrivals_schedule or None,
    description="Starts the stars whose light curve and transit information have arrived",
    doc_md=__doc__,
    max_active_runs=SETTINGS.arrivals_runs,
    user_defined_macros={"previous_campaign": previous_campaign},
    params={
        **forms.campaign(SETTINGS),
        **forms.target_list(SETTINGS),
        **forms.place(SETTINGS, __file__),
        **forms.previous(SETTINGS),
        **forms.parameters(),
        **forms.batches(SETTINGS),
    },
    **forms.common(SETTINGS, "arrivals"),
)
def plato_sas_arrivals() -> None:
    # Of two concurrent looks, the second would only adopt the first one's stars, and keep a task waiting.
    @task(max_active_tis_per_dag=1)
    def look(params: dict[str, Any], dag_run: Any) -> list[dict[str, Any]]:
        """Find the stars that are ready and not started yet, and write the batches."""
        from plato_sas_airflow.mission.tasks.arrivals import plan_arrivals
        from plato_sas_airflow.mission.tasks.lists import folder_of

        return plan_arrivals(SETTINGS, params, folder_of(SETTINGS, dag_run))

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def remember(planned: list[dict[str, Any]] | None, params: dict[str, Any], ti: Any, dag_run: Any) -> None:
        """Record the finished stars; fail if a batch has failed or has no result."""
        from airflow.sdk.exceptions import AirflowFailException

        from plato_sas_airflow.mission.tasks.arrivals import remember_arrivals
        from plato_sas_airflow.mission.tasks.lists import folder_of

        if planned is None:
            raise AirflowFailException("There are no batches: the task `look` failed; see its log")
        results = [ti.xcom_pull(task_ids="stars", map_indexes=index) for index in range(len(planned))]
        remember_arrivals(SETTINGS, params, folder_of(SETTINGS, dag_run), planned, results)

    planned = look()  # type: ignore[call-arg]
    batches = StarBatchOperator.partial(
        task_id="stars",
        campaign="{{ params.campaign }}",
        pipeline="{{ params.pipeline }}",
        namespace="{{ params.namespace or '' }}",
        previous_campaign="{{ previous_campaign(params.campaign, params.previous_campaign) }}",
        parameters="{{ (params.parameters or {}) | tojson }}",
        max_failed_fraction="{{ params.max_failed_fraction }}",
        max_active_tis_per_dagrun=SETTINGS.batches_at_once,
        map_index_template="{{ task.stars_file.rsplit('/', 1)[-1] }}",
        **forms.star_tasks(SETTINGS),
    ).expand_kwargs(planned)
    batches >> remember(planned)  # type: ignore[arg-type, call-arg, operator]


plato_sas_arrivals()
