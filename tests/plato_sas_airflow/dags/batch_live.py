"""One batch and its summary, for the tests with a real Airflow."""

import logging
from datetime import timedelta
from typing import Any

from airflow.sdk import Param, TriggerRule, dag, task
from airflow.sdk.exceptions import AirflowFailException

from plato_sas_airflow.batches.results import StarFailure
from plato_sas_airflow.operators.star_batch import StarBatchOperator

log = logging.getLogger(__name__)


@dag(
    schedule=None,
    # For a lost worker or a restarting API server; failed stars do not make Airflow try again.
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    params={
        "stars": Param([], type="array"),
        "campaign": "Q1",
        "pipeline": "sas-demo",
        "namespace": "plato",
    },
)
def batch_live() -> None:
    batch = StarBatchOperator(
        task_id="stars",
        stars="{{ params.stars | tojson }}",
        campaign="{{ params.campaign }}",
        pipeline="{{ params.pipeline }}",
        namespace="{{ params.namespace }}",
        kubernetes_conn_id="plato_sas_kubernetes",
        timeout=timedelta(hours=12),
        report_seconds=10,
    )

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def summary(result: dict[str, Any] | None) -> None:
        """Write the counts and the failed stars into the log; fail with them.

        Airflow judges a run by its last tasks, so a summary that ended well would make a failed run green.
        """
        if result is None:
            raise AirflowFailException("The batch ended without a result; its log says why")
        log.info("%d of %d stars succeeded, %d failed", result["succeeded"], result["total"], result["failed"])
        for failure in result["failures"]:
            log.info("%s", StarFailure(**failure).text())
        if result["succeeded"] < result["total"]:
            raise AirflowFailException(f"{result['total'] - result['succeeded']} stars did not succeed")

    summary(batch.output)  # type: ignore[arg-type]


batch_live()
