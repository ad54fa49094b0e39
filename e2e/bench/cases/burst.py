"""Thousands of StarProcessings at once: does the operator go on answering?

It lasts until a tenth of them has finished: by then all have been taken up, and the window has been full for a while.
The nodes are simulated. Liveness is asked for as the kubelet does, once a second instead of every twenty.
"""

import asyncio
import math
import time
from dataclasses import dataclass, field

import aiohttp

from e2e.bench.measure import pipelines
from e2e.bench.measure.api import Api, ApiFailed, cancel, connect
from e2e.bench.measure.figures import histogram_quantile, percentile
from e2e.bench.measure.flow import Flow
from e2e.bench.measure.flow import stars as stars_of
from e2e.bench.measure.observe import Look, MemoryWatch
from e2e.bench.measure.options import Options
from e2e.bench.measure.simulator import simulated_nodes
from e2e.bench.measure.simulator import values as simulator_values
from e2e.bench.measure.site import Site, bench_site
from e2e.bench.report.result import Bar, Figure, Result
from e2e.progress import phase

STARS = 5_000
_QUICK_STARS = 100
_PIPELINE = "bench-burst"
_ENOUGH = 0.1
_LAG_SECONDS = 0.25
_PROBE_SECONDS = 1.0
_LIVENESS_SECONDS = 10.0
"""The chart's `probes.liveness.timeoutSeconds`: an answer after it counts as none."""


@dataclass
class Liveness:
    """How long the operator took to answer, and how often it did not, seen through the API server."""

    api: Api
    path: str
    seconds: list[float] = field(default_factory=list[float])
    failures: list[str] = field(default_factory=list[str])

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(2 * _LIVENESS_SECONDS):
                    await self.api.text(self.path)
            except (ApiFailed, TimeoutError, aiohttp.ClientError) as error:
                self.failures.append(str(error) or type(error).__name__)
            self.seconds.append(time.monotonic() - began)
            await asyncio.sleep(max(0.0, began + _PROBE_SECONDS - time.monotonic()))


def run(options: Options) -> Result:
    """Raises BenchError, CommandFailed."""
    stars = options.stars or (_QUICK_STARS if options.quick else STARS)
    with bench_site(values=simulator_values()) as site, simulated_nodes():
        site.apply(pipelines.chain(_PIPELINE, options.steps))
        return asyncio.run(_measure(site, stars))


async def _measure(site: Site, stars: int) -> Result:
    async with connect() as api:
        restarts = await asyncio.to_thread(site.restarts)
        memory = MemoryWatch(await asyncio.to_thread(site.operator_pid))
        liveness = Liveness(api, await asyncio.to_thread(site.operator_proxy, 8080, "/healthz"))
        watching = [asyncio.create_task(memory.run()), asyncio.create_task(liveness.run())]
        before = await Look.take(api, site)
        try:
            with phase(f"{stars} stars at once") as running:

                def show(flow: Flow) -> None:
                    running.detail = f"{len(flow.created)} created, {len(flow.finished)} finished"

                enough = math.ceil(_ENOUGH * stars)
                kind = stars_of(site.namespace, _PIPELINE)
                flow = Flow(api, kind, stars, resident=stars, enough=enough, on_change=show)
                began = time.monotonic()
                await flow.run()
                seconds = time.monotonic() - began
            after = await Look.take(api, site)
        finally:
            await cancel(*watching)
        restarts = await asyncio.to_thread(site.restarts) - restarts
    lag = "plato_sas_event_loop_lag_seconds"
    p99 = histogram_quantile(0.99, before.operator.buckets(lag), after.operator.buckets(lag))
    late = len(liveness.failures) + sum(one > _LIVENESS_SECONDS for one in liveness.seconds)
    created = max(flow.created.values()) - min(flow.created.values())
    return Result(
        name="burst",
        title=f"event-loop lag, p99 (upper bound), {stars} stars at once",
        figure=p99,
        unit="s",
        bar=Bar("<=", _LAG_SECONDS),
        further=[
            Figure("restarts of the operator", restarts, "", Bar("<=", 0)),
            Figure("liveness probes late or failed", late, "", Bar("<=", 0)),
            Figure("slowest liveness probe", round(max(liveness.seconds), 3), "s", Bar("<", _LIVENESS_SECONDS)),
        ],
        details={
            "stars": stars,
            "secondsToCreate": round(created, 1),
            "finished": len(flow.finished),
            "seconds": round(seconds, 1),
            "probes": len(liveness.seconds),
            "probeFailures": liveness.failures[:10],
            "probeSeconds": {f"p{round(100 * p)}": round(percentile(liveness.seconds, p), 4) for p in (0.5, 0.99, 1)},
            "operatorMemoryMiB": {"peak": round(memory.peak_mib, 1)},
            "eventLoopLagBuckets": {
                str(bound): count - before.operator.buckets(lag).get(bound, 0.0)
                for bound, count in sorted(after.operator.buckets(lag).items())
            },
        },
    )
