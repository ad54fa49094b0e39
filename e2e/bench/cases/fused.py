"""20 stars x 7 one-command steps on the real node, fused, beside raw containerd and a hand-made fused Job."""

from e2e.bench.cases import containers
from e2e.bench.measure import handmade, pipelines
from e2e.bench.measure.batch import run_batch
from e2e.bench.measure.figures import percentile
from e2e.bench.measure.options import Options
from e2e.bench.measure.site import bench_site
from e2e.bench.measure.stars import remove_stars
from e2e.bench.report.result import Bar, Result

STARS = 20
_QUICK_STARS = 2
_PIPELINE = "bench-fused"
_TIMES_CONTAINERD = 2.0


def run(options: Options) -> Result:
    """Raises BenchError, CommandFailed."""
    stars = options.stars or (_QUICK_STARS if options.quick else STARS)
    with bench_site() as site:
        site.apply(pipelines.chain(_PIPELINE))
        # The first pod of a namespace pays for what is loaded once: images' snapshots, the operator's graph.
        run_batch(site, _PIPELINE, 1, campaign="warm-up")
        remove_stars(site.namespace)
        alone = containers.fastest(stars * pipelines.STEPS)
        batch = run_batch(site, _PIPELINE, stars)
        by_hand = handmade.run_fused(site.namespace, stars)
    best = min(alone.values())
    return Result(
        name="fused",
        title=f"{stars} stars x {pipelines.STEPS} steps, fused ÷ {stars * pipelines.STEPS} raw containers",
        figure=round(batch.seconds / best, 2),
        unit="",
        bar=Bar("<=", _TIMES_CONTAINERD),
        compared_with={
            "raw containerd [s]": round(best, 2),
            "hand-made fused Jobs [s]": round(by_hand, 2),
            "hand-made fused Jobs ÷ raw containerd": round(by_hand / best, 2),
        },
        details={
            "seconds": round(batch.seconds, 2),
            "containerdSecondsByParallelism": {str(n): round(s, 2) for n, s in alone.items()},
            "secondsPerStar": {f"p{round(100 * p)}": round(percentile(batch.each, p), 2) for p in (0, 0.5, 1)},
        },
    )
