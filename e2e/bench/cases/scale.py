"""Stars per second through simulated nodes: what the operator and the control plane can do, not the nodes."""

import asyncio
import time
from dataclasses import dataclass

from e2e.bench.measure import control_plane, observe, pipelines
from e2e.bench.measure.api import Api, cancel, connect
from e2e.bench.measure.control_plane import Alone
from e2e.bench.measure.figures import percentile, rate_between, rate_by_batch
from e2e.bench.measure.flow import Flow
from e2e.bench.measure.flow import stars as stars_of
from e2e.bench.measure.observe import Look, MemoryWatch
from e2e.bench.measure.options import Options
from e2e.bench.measure.simulator import simulated_nodes
from e2e.bench.measure.simulator import values as simulator_values
from e2e.bench.measure.site import Site, bench_site
from e2e.bench.report.result import Bar, Figure, Result
from e2e.progress import Phase, phase

STARS = 20_000
_QUICK_STARS = 200
_PIPELINE = "bench-scale"
_STARS_PER_SECOND = 30.0
_WRITES_PER_STAR = 8.0
_LARGEST_SLOWDOWN = 0.10


@dataclass(frozen=True)
class Measured:
    """A flow that has run, the looks before and after it, and what Jobs alone take."""

    same: Alone
    least: Alone
    flow: Flow
    before: Look
    after: Look
    memory: MemoryWatch


def run(options: Options) -> Result:
    """Raises BenchError, and the platform's own errors."""
    stars = options.stars or (_QUICK_STARS if options.quick else STARS)
    window = min(options.window, stars)
    values = (
        *simulator_values(),
        f"controller.maxActiveStars={window}",
        "controller.jobTtlSeconds=1",
        "resources.limits.memory=4Gi",
    )
    with bench_site(values=values) as site, simulated_nodes():
        site.apply(pipelines.chain(_PIPELINE, options.steps))
        measured = asyncio.run(_measure(site, stars, options))
    return _result(measured, stars, window, options)


async def _measure(site: Site, stars: int, options: Options) -> Measured:
    async with connect() as api:
        same, least = await control_plane.measure(api, site, _PIPELINE, stars)
        with phase(f"{stars} stars through simulated nodes") as running:
            flow = Flow(
                api,
                stars_of(site.namespace, _PIPELINE, **({"ttl": options.ttl} if options.ttl else {})),
                stars,
                resident=options.resident,
                per_second=options.per_second,
                on_change=lambda flow: _tell(flow, running),
            )
            return await _observed(api, site, flow, same, least)


async def _observed(api: Api, site: Site, flow: Flow, same: Alone, least: Alone) -> Measured:
    memory = MemoryWatch(await asyncio.to_thread(site.operator_pid))
    watching = asyncio.create_task(memory.run())
    try:
        before = await Look.take(api, site)
        await flow.run()
        after = await Look.take(api, site)
    finally:
        await cancel(watching)
    return Measured(same, least, flow, before, after, memory)


def _tell(flow: Flow, running: Phase) -> None:
    began = min(flow.created.values(), default=time.monotonic())
    rate = len(flow.finished) / max(1e-9, time.monotonic() - began)
    running.detail = f"{len(flow.created)} created, {len(flow.finished)} finished, {rate:.1f}/s"


def _result(measured: Measured, stars: int, window: int, options: Options) -> Result:
    flow, before, after = measured.flow, measured.before, measured.after
    finished = sorted(flow.finished.values())
    began = min(flow.created.values())
    overall = stars / (finished[-1] - began)
    batch = max(2, min(1000, stars // 10))
    rates = rate_by_batch(finished, batch)
    requests = observe.operator_requests(before, after)
    writes = 1 + sum(count for method, count in requests.items() if method in observe.WRITES) / stars
    tenth = max(2, stars // 10)
    first, last = rate_between(finished[: tenth + 1], 0, 1), rate_between(finished[-tenth - 1 :], 0, 1)
    waits = [flow.finished[name] - flow.created[name] for name in flow.finished]
    operator = after.operator
    lag = operator.since(before.operator).buckets("plato_sas_event_loop_lag_seconds")
    return Result(
        name="scale" if stars <= STARS else f"scale-{stars}",
        title=f"{stars} stars x {options.steps} steps, fused, window of {window}, simulated nodes",
        figure=round(overall, 2),
        unit="stars/s",
        bar=Bar(">=", _STARS_PER_SECOND),
        compared_with={
            "of the first tenth [stars/s]": round(first, 2),
            "of the last tenth [stars/s]": round(last, 2),
            "the same Jobs by hand, no stars [Jobs/s]": round(measured.same.rate, 2),
            "Jobs of two bare containers by hand [Jobs/s]": round(measured.least.rate, 2),
        },
        further=[
            Figure("rate of the last tenth ÷ the first", round(last / first, 3), "", Bar(">=", 1 - _LARGEST_SLOWDOWN)),
            Figure("API writes per star, ours", round(writes, 2), "", Bar("<=", _WRITES_PER_STAR)),
        ],
        details={
            "stars": stars,
            "steps": options.steps,
            "maxActiveStars": window,
            "resident": flow.resident,
            "seconds": round(finished[-1] - began, 1),
            "ratesPerBatch": [round(rate, 2) for rate in rates],
            "batch": batch,
            "secondsFromCreationToEnd": {
                f"p{round(100 * share)}": round(percentile(waits, share), 2) for share in (0.5, 0.9, 0.99, 1)
            },
            "operatorRequestsPerStar": observe.per_star(requests, stars),
            "serverWritesPerStar": observe.per_star(observe.server_writes(before, after), stars),
            "cpuSecondsPerJobByHand": {
                "same": measured.same.cpu_seconds_per_job,
                "least": measured.least.cpu_seconds_per_job,
            },
            "cpuSecondsPerStar": observe.per_star(after.usage.since(before.usage), stars, 5),
            "cpuSeconds": {name: round(value, 1) for name, value in after.usage.since(before.usage).items()},
            "operatorMemoryMiB": {"peak": round(measured.memory.peak_mib, 1)},
            "operatorMemory": observe.thinned(measured.memory.samples),
            "eventLoopLagBuckets": {str(bound): count for bound, count in sorted(lag.items())},
        },
    )
