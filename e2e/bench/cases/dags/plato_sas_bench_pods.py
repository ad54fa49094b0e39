"""The peer of the pipeline manager: Airflow's own KubernetesPodOperator with one task for each step of each star.

The same image and commands, chained in the same way; nothing is staged, verified or published.
Settings come from the environment: PLATO_SAS_BENCH_IMAGE, _NAMESPACE, _STARS, _STEPS.
"""

import os

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import dag, task_group

_IMAGE = os.environ["PLATO_SAS_BENCH_IMAGE"]
_NAMESPACE = os.environ["PLATO_SAS_BENCH_NAMESPACE"]
_STARS = int(os.environ["PLATO_SAS_BENCH_STARS"])
_STEPS = int(os.environ["PLATO_SAS_BENCH_STEPS"])


def _step(star: int, step: int) -> KubernetesPodOperator:
    return KubernetesPodOperator(
        task_id=f"step{step}",
        name=f"peer-{star:02d}-{step}",
        namespace=_NAMESPACE,
        kubernetes_conn_id="plato_sas_kubernetes",
        image=_IMAGE,
        image_pull_policy="IfNotPresent",
        cmds=["sh", "-c", "echo done > /tmp/product"],
        get_logs=False,
        # As quick as it can be made: the defaults look every 1 s and 2 s or more.
        startup_check_interval_seconds=1,
        base_container_status_polling_interval=0.25,
        on_finish_action="delete_pod",
        automount_service_account_token=False,
        security_context={
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        container_security_context={"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    )


@dag(schedule=None, max_active_tasks=_STARS * _STEPS, tags=["plato-sas-bench"], doc_md=__doc__)
def plato_sas_bench_pods() -> None:
    for star in range(_STARS):

        @task_group(group_id=f"star{star:02d}")
        def chain(star: int = star) -> None:
            before = None
            for step in range(1, _STEPS + 1):
                task = _step(star, step)
                if before is not None:
                    before >> task
                before = task

        chain()


plato_sas_bench_pods()
