"""A Job of every step: the operator beside somebody who applies the very same Jobs, step after step."""

import time
from collections.abc import Sequence

from e2e.bench.measure import handmade, pipelines
from e2e.bench.measure.batch import run_batch
from e2e.bench.measure.options import Options
from e2e.bench.measure.site import BenchError, Site, bench_site, empty
from e2e.bench.measure.stars import remove_stars
from e2e.bench.report.result import Bar, Result
from e2e.kubernetes import get, kubectl
from e2e.progress import phase
from plato_sas.api import Document

STARS = 20
_QUICK_STARS = 2
_PIPELINE = "bench-perstep"
_TIMES_BY_HAND = 1.2


def run(options: Options) -> Result:
    """Raises BenchError, CommandFailed."""
    stars = options.stars or (_QUICK_STARS if options.quick else STARS)
    with bench_site() as site:  # finished Jobs stay long enough to be read
        site.apply(pipelines.chain(_PIPELINE))
        run_batch(site, _PIPELINE, 1, campaign="warm-up", stages="PerStep")
        remove_stars(site.namespace)
        batch = run_batch(site, _PIPELINE, stars, stages="PerStep")
        levels = _levels(site, stars)
        remove_stars(site.namespace)
        _without_operator(site)
        empty(site.products)
        by_hand = _apply_by_hand(site, levels)
    return Result(
        name="perstep",
        title=f"{stars} stars x {pipelines.STEPS} steps, a Job of each ÷ the same Jobs applied by hand",
        figure=round(batch.seconds / by_hand, 2),
        unit="",
        bar=Bar("<=", _TIMES_BY_HAND),
        compared_with={"the same Jobs by kubectl apply, step after step [s]": round(by_hand, 2)},
        details={"seconds": round(batch.seconds, 2), "jobs": stars * pipelines.STEPS},
    )


def _levels(site: Site, stars: int) -> list[list[Document]]:
    """The Jobs that the operator made, as a user would write them, by step. Raises BenchError."""
    found = get("jobs", f"--selector={handmade.MANAGED_BY}=plato-sas-operator", namespace=site.namespace)
    by_step: dict[str, list[Document]] = {}
    for job in found:
        steps = [one["name"] for one in job["spec"]["template"]["spec"]["initContainers"]]
        by_step.setdefault(steps[-1], []).append(handmade.plain(job, "perstep"))
    levels = [by_step[step] for step in sorted(by_step)]
    if [len(level) for level in levels] != [stars] * pipelines.STEPS:
        raise BenchError(f"{len(found)} Jobs of {len(levels)} steps are not one for each of {stars} stars' steps")
    return levels


def _without_operator(site: Site) -> None:
    """So that nobody but the user acts on the Jobs."""
    kubectl("scale", "deployment", "--all", "--replicas=0", namespace=site.namespace)
    kubectl(
        *("wait", "pods", "--selector=app.kubernetes.io/name=plato-sas", "--for=delete", "--timeout=60s"),
        namespace=site.namespace,
    )


def _apply_by_hand(site: Site, levels: Sequence[Sequence[Document]]) -> float:
    with phase(f"{sum(map(len, levels))} Jobs applied by hand, step after step") as running:
        began = time.monotonic()
        for number, level in enumerate(levels, 1):
            handmade.apply_jobs(level, site.namespace)
            step = level[0]["metadata"]["labels"]["plato-sas.io/step"]
            handmade.wait_complete(f"{handmade.LABEL}=perstep,plato-sas.io/step={step}", site.namespace)
            running.detail = f"{number} of {len(levels)} steps"
        seconds = time.monotonic() - began
    handmade.delete(f"{handmade.LABEL}=perstep", site.namespace)
    return seconds
