"""Airflow's KubernetesPodOperator with one task per step, beside this project, in the same run."""

import configparser
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.airflow.api import AirflowApiError
from e2e.airflow.service import AirflowService, AirflowServiceError
from e2e.airflow.settings import Home
from e2e.bench.measure import pipelines
from e2e.bench.measure.batch import run_batch
from e2e.bench.measure.options import Options
from e2e.bench.measure.site import BenchError, Site, bench_site
from e2e.bench.measure.stars import remove_stars
from e2e.bench.report.result import FOLDER, Result
from e2e.install.modules import pinned
from e2e.processes.daemon import ProcessError
from e2e.progress import phase

STARS = 20
_QUICK_STARS = 2
_PIPELINE = "bench-peer"
_DAG = "plato_sas_bench_pods"
_RUN_SECONDS = 3600


def run(options: Options) -> Result:
    """Raises BenchError, CommandFailed."""
    stars = options.stars or (_QUICK_STARS if options.quick else STARS)
    with bench_site() as site:
        site.apply(pipelines.chain(_PIPELINE))
        run_batch(site, _PIPELINE, 1, campaign="warm-up")
        remove_stars(site.namespace)
        batch = run_batch(site, _PIPELINE, stars)
        remove_stars(site.namespace)
        try:
            peer, parallel = _peer(site, stars)
        except (AirflowApiError, AirflowServiceError, ProcessError) as error:
            raise BenchError(f"Airflow: {error}") from error
    return Result(
        name="airflow",
        title=f"{stars} stars x {pipelines.STEPS} steps: Airflow's KubernetesPodOperator ÷ this project",
        figure=round(peer / batch.seconds, 2),
        unit="",
        bar=None,
        compared_with={
            "Airflow, a KubernetesPodOperator task per step [s]": round(peer, 1),
            "this project, fused [s]": round(batch.seconds, 1),
        },
        details={"airflowParallelism": parallel, "tasks": stars * pipelines.STEPS},
    )


def _peer(site: Site, stars: int) -> tuple[float, int]:
    """Seconds of the DAG run by Airflow's own account, and how many tasks it ran at a time."""
    with _airflow(site, stars) as service, service.api() as api, phase("Airflow, a task per step") as running:

        def show(tasks: dict[str, str]) -> None:
            running.detail = f"{sum(state == 'success' for state in tasks.values())} of {len(tasks)} tasks"

        run_id = api.trigger_dag(_DAG, {})
        result = api.wait_run(_DAG, run_id, _RUN_SECONDS, show)
        if not result.succeeded:
            raise BenchError(f"run {run_id} of {_DAG} is {result.state}; {api.run_page(_DAG, run_id)}")
        return result.seconds, _parallelism(service.home)


def _parallelism(home: Home) -> int:
    """How many tasks this Airflow runs at a time: the test platform's setting."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(home.configuration)
    return parser.getint("core", "parallelism")


@contextmanager
def _airflow(site: Site, stars: int) -> Iterator[AirflowService]:
    """An Airflow of its own, with the DAG of the peers and nothing else."""
    settings = {
        "PLATO_SAS_BENCH_IMAGE": pinned(pipelines.IMAGE),
        "PLATO_SAS_BENCH_NAMESPACE": site.namespace,
        "PLATO_SAS_BENCH_STARS": str(stars),
        "PLATO_SAS_BENCH_STEPS": str(pipelines.STEPS),
    }
    dags = Path(__file__).parent / "dags"
    home = Home(folder=FOLDER / "airflow", dags=dags, administrator=True)  # the peers make pods
    service = AirflowService(home=home, dag_id=_DAG)
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        service.down()  # a killed run leaves other settings
        service.up()
        yield service
    finally:
        os.environ.clear()
        os.environ.update(before)
        service.down()
