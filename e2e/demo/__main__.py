"""`python -m e2e.demo`: the cluster must be up and the images loaded."""

import argparse
import sys
import time

from e2e.airflow.api import AirflowApi, AirflowApiError
from e2e.airflow.processes import ProcessError
from e2e.airflow.service import DEMO_DAG, AirflowService, AirflowServiceError
from e2e.cluster.storage import NAMESPACE
from e2e.demo import inputs, results
from e2e.demo.progress import StarProgress, processings
from e2e.install.release import install
from e2e.kubernetes import CommandFailed, kubectl
from e2e.layout import KUBECONFIG, LOCAL, VOLUMES
from e2e.progress import phase

CAMPAIGN = "demo"
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
    with phase("operator, catalogue and pipelines"):
        install(namespace)
    inputs.prepare(namespace)
    airflow = AirflowService()
    airflow.up()
    _start_over(namespace)
    with airflow.api() as api:
        run_id = api.trigger_dag(DEMO_DAG, {"stars": list(inputs.STARS), "campaign": CAMPAIGN, "namespace": namespace})
        page = api.run_page(DEMO_DAG, run_id)
        print(f"\nAirflow runs {DEMO_DAG} for {len(inputs.STARS)} stars: {page}\n", flush=True)
        succeeded = _follow(api, run_id, namespace)
    _show(namespace, airflow, page)
    return 0 if succeeded else 1


def _start_over(namespace: str) -> None:
    """Remove the stars of an earlier demo, so that this one runs; their products are replaced as it goes."""
    known = processings(namespace, CAMPAIGN)
    old = [star["metadata"]["name"] for star in known if star["spec"]["star"] in inputs.STARS]
    if old:
        with phase(f"removing {len(old)} stars of the demo before"):
            kubectl("delete", "starprocessings", *old, "--cascade=foreground", namespace=namespace)


def _follow(api: AirflowApi, run_id: str, namespace: str) -> bool:
    began = time.monotonic()
    progress = StarProgress(namespace, CAMPAIGN)
    result = api.wait_run(DEMO_DAG, run_id, _RUN_SECONDS, lambda _tasks: progress.show())
    progress.show()
    states = [star.get("status", {}).get("state") for star in processings(namespace, CAMPAIGN)]
    done = sum(state == "Succeeded" for state in states)
    print(f"\nThe DAG run ended as {result.state} after {time.monotonic() - began:.0f} s; {done} stars succeeded.\n")
    return result.succeeded and done == len(inputs.STARS)


def _show(namespace: str, airflow: AirflowService, page: str) -> None:
    print("$ kubectl get starprocessing")
    print(kubectl("get", "starprocessings", namespace=namespace))
    stars = {star["spec"]["star"]: star["status"] for star in processings(namespace, CAMPAIGN)}
    found = results.rows(VOLUMES / "products" / CAMPAIGN, VOLUMES / "inputs", stars)
    print(results.table(found))
    print(
        f"""
products   {VOLUMES / "products" / CAMPAIGN}/<star>/<step>/   (manifest.json says where each comes from)
logs       KUBECONFIG={KUBECONFIG} {LOCAL / "bin" / "kubectl"} -n {namespace} logs job/<job> -c step-<step>
           (jobs: kubectl -n {namespace} get jobs -L plato-sas.io/star,plato-sas.io/step)
Airflow    {page}
           user admin, password in {airflow.home.passwords}"""
    )


if __name__ == "__main__":
    sys.exit(main())
