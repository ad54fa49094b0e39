"""Every operator, the sensor and the decorator in one DAG, for the tests with a real Airflow."""

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from plato_sas_airflow.notifications import deadline_alert
from plato_sas_airflow.operators.star_batch import StarBatchOperator
from plato_sas_airflow.operators.star_processing import StarProcessingOperator
from plato_sas_airflow.sensors.star_processing import StarProcessingSensor
from plato_sas_airflow.settings import Settings
from plato_sas_airflow.stars.star import star_spec

COMMON: dict[str, Any] = {
    "campaign": "{{ params.campaign }}",
    "pipeline": "sas-demo",
    "namespace": "{{ params.namespace }}",
    "kubernetes_conn_id": "plato_sas_kubernetes",
}


@dag(
    schedule=None,
    # Airflow's own references make it refuse to clear a task.
    deadline=deadline_alert(Settings(), "star"),
    default_args={"retries": 2, "retry_delay": timedelta(seconds=5)},
    params={"campaign": "Q1", "namespace": "plato", "rerun": False, "stars": Param([], type="array")},
)
def library_live() -> None:
    batch = StarBatchOperator(
        task_id="batch", stars="{{ params.stars | tojson }}", rerun="{{ params.rerun }}", report_seconds=2, **COMMON
    )

    @task.star_batch(report_seconds=2, **COMMON)  # type: ignore[attr-defined]
    def chosen(result: dict[str, Any]) -> list[dict[str, Any]]:
        return [star_spec("CHOSEN", priority=result["succeeded"])]

    one = StarProcessingOperator(task_id="one", star="ONE", report_seconds=2, **COMMON)
    waits = StarProcessingSensor(
        task_id="waits",
        label_selector="plato-sas.io/campaign={{ params.campaign }}",
        minimum=3,
        report_seconds=2,
        namespace="{{ params.namespace }}",
        kubernetes_conn_id="plato_sas_kubernetes",
    )
    chosen(batch.output) >> [one, waits]


library_live()
