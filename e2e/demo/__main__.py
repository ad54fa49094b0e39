"""`python -m e2e.demo`: the cluster must be up and the images loaded."""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from e2e.airflow.api import AirflowApi, AirflowApiError, RunResult
from e2e.airflow.service import QUARTER_DAG, AirflowService, AirflowServiceError
from e2e.cluster.storage import NAMESPACE
from e2e.demo import inputs, results
from e2e.demo.progress import StarProgress, processings
from e2e.install.release import install
from e2e.kubernetes import kubectl
from e2e.layout import KUBECONFIG, LOCAL, VOLUMES
from e2e.processes.command import CommandFailed
from e2e.processes.daemon import ProcessError
from e2e.progress import phase

CAMPAIGN = "demo"
PIPELINE = "sas-demo"
TARGETS = Path(__file__).with_name("targets.csv")
_RUN_SECONDS = 1800


def main() -> int:
    parser = argparse.ArgumentParser(description="Takes the demo stars through the pipeline and shows the results.")
    parser.add_argument("--namespace", default=NAMESPACE)
    namespace: str = parser.parse_args().namespace
    try:
        return demo(namespace)
    except (AirflowApiError, AirflowServiceError, CommandFailed, ProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def demo(namespace: str) -> int:
    """Install, run, show; the exit code is 0 if every star has succeeded."""
    with phase("operator, modules and pipelines"):
        install(namespace)
    inputs.prepare(namespace)
    airflow = AirflowService()
    airflow.up()
    _start_over(namespace)
    with airflow.api() as api:
        run_id = api.trigger_dag(QUARTER_DAG, _request(namespace))
        page = api.run_page(QUARTER_DAG, run_id)
        print(f"\nAirflow runs {QUARTER_DAG} for {len(inputs.STARS)} stars: {page}\n", flush=True)
        result = _follow(api, run_id, namespace)
    _show(namespace, airflow, page, result)
    return 0 if result.succeeded else 1


def _request(namespace: str) -> dict[str, Any]:
    """The form's fields: every star has to succeed."""
    return {
        "target_list": str(TARGETS),
        "campaign": CAMPAIGN,
        "pipeline": PIPELINE,
        "namespace": namespace,
        "max_bad_rows_fraction": 0,
        "max_failed_fraction": 0,
    }


def _start_over(namespace: str) -> None:
    """Remove the stars and catalogues of an earlier demo, so that this one runs; their results are replaced."""
    kubectl("delete", "starcatalogues", "-l", f"plato-sas.io/campaign={CAMPAIGN}", "--wait", namespace=namespace)
    known = processings(namespace, CAMPAIGN)
    old = [star["metadata"]["name"] for star in known if star["spec"]["star"] in inputs.STARS]
    if old:
        with phase(f"removing {len(old)} stars of the demo before"):
            kubectl("delete", "starprocessings", *old, "--cascade=foreground", namespace=namespace)


def _follow(api: AirflowApi, run_id: str, namespace: str) -> RunResult:
    began = time.monotonic()
    progress = StarProgress(namespace, CAMPAIGN)
    result = api.wait_run(QUARTER_DAG, run_id, _RUN_SECONDS, lambda _tasks: progress.show())
    progress.show()
    states = [star.get("status", {}).get("state") for star in processings(namespace, CAMPAIGN)]
    done = sum(state == "Succeeded" for state in states)
    print(f"\nThe DAG run ended as {result.state} after {time.monotonic() - began:.0f} s; {done} stars succeeded.\n")
    return replace(result, state="failed") if done != len(inputs.STARS) else result


def _show(namespace: str, airflow: AirflowService, page: str, result: RunResult) -> None:
    print("$ kubectl get starprocessing")
    print(kubectl("get", "starprocessings", namespace=namespace))
    stars = {star["spec"]["star"]: star["status"] for star in processings(namespace, CAMPAIGN)}
    found = results.rows(VOLUMES / "products" / CAMPAIGN, VOLUMES / "inputs", stars)
    print(results.table(found))
    print(
        f"""
products   {VOLUMES / "products" / CAMPAIGN}/<star>/<step>/   (manifest.json says where each comes from)
catalogue  {_catalogue(result)}
logs       KUBECONFIG={KUBECONFIG} {LOCAL / "bin" / "kubectl"} -n {namespace} logs job/<job> -c step-<step>
           (jobs: kubectl -n {namespace} get jobs -L plato-sas.io/star,plato-sas.io/step)
Airflow    {page}
           user admin, password in {airflow.home.passwords}"""
    )


def _catalogue(result: RunResult) -> str:
    """Where the tables are."""
    catalogue = result.result.get("catalogue") or {}
    paths = [file["path"] for table in catalogue.get("tables") or [] for file in table.get("files") or []]
    return ", ".join(str(VOLUMES / "products" / path) for path in paths) or "was not made"


if __name__ == "__main__":
    sys.exit(main())
