"""The demonstration: a few stars through one pipeline.

Airflow only creates and watches StarProcessing resources; the operator in the cluster runs the modules.
"""

import logging
from datetime import timedelta
from typing import Any

from airflow.sdk import Param, TriggerRule, dag, task
from airflow.sdk.exceptions import AirflowFailException

from plato_sas_airflow.operators.star_batch import StarBatchOperator
from plato_sas_airflow.progress import StarFailure

DEMO_STARS = ["kic-6603624", "kic-3733735", "kic-8006161", "kic-10644253", "psls-0001"]

log = logging.getLogger(__name__)


@dag(
    schedule=None,
    description="A few stars through one pipeline of the PLATO Stellar Analysis System",
    tags=["plato-sas"],
    doc_md=__doc__,
    # For a lost worker or a restarting API server; failed stars do not make Airflow try again.
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    params={
        "stars": Param(
            DEMO_STARS,
            type="array",
            items={"type": "string", "maxLength": 48},
            minItems=1,
            title="Stars",
            description="Star identifiers, one a line.",
        ),
        "campaign": Param(
            "demo", type="string", maxLength=48, title="Campaign", description="Quarter of the products."
        ),
        "pipeline": Param("sas-demo", type="string", title="Pipeline", description="Name of the StarPipeline."),
        "namespace": Param("plato", type="string", title="Namespace", description="Where the resources are created."),
    },
)
def plato_sas_demo() -> None:
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


plato_sas_demo()
