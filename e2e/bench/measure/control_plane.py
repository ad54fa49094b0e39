"""The control plane alone: Jobs without stars, created and deleted by hand, through the same simulated nodes.

It is the upper limit for any operator that makes a Job and a pod for each star.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from e2e.bench.measure import cpu, handmade
from e2e.bench.measure.api import JOBS, Api
from e2e.bench.measure.figures import rate_between
from e2e.bench.measure.flow import Flow, jobs, stars
from e2e.bench.measure.observe import per_star
from e2e.bench.measure.site import BenchError, Site
from e2e.bench.measure.stars import remove_stars
from e2e.progress import phase
from plato_sas.api import Document

_LABEL = "alone"
_MOST = 2000
_RESIDENT = 400  # more than two cores get through while a simulated pod lasts
_SAMPLE_SECONDS = 120.0


@dataclass(frozen=True)
class Alone:
    """Jobs of one shape: so many a second, between the first tenth and the last, and their processor time."""

    rate: float
    cpu_seconds_per_job: dict[str, float]


async def measure(api: Api, site: Site, pipeline: str, count: int) -> tuple[Alone, Alone]:
    """The operator's own Job of a star of this pipeline, and the least Job. The operator has nothing to do meanwhile.

    `count`: stars of the run that it is compared with. Raises BenchError, ApiFailed, CommandFailed.
    """
    job = handmade.plain(await _operators_job(api, site, pipeline), _LABEL)
    number = max(20, min(_MOST, count // 10))
    same = await _run(api, site, job, number, "the operator's Jobs by hand")
    return same, await _run(api, site, handmade.least(job), number, "Jobs of two bare containers")


async def _operators_job(api: Api, site: Site, pipeline: str) -> Document:
    path = JOBS.format(namespace=site.namespace)
    _, version = await api.list(path)
    running = asyncio.create_task(Flow(api, stars(site.namespace, pipeline), 1, resident=1).run())
    try:
        async with asyncio.timeout(_SAMPLE_SECONDS), aclosing(api.watch(path, version)) as events:
            job = await _first(events)
    except TimeoutError:
        raise BenchError(f"no Job of the first star within {_SAMPLE_SECONDS:.0f} s") from None
    finally:
        await running
    await asyncio.to_thread(remove_stars, site.namespace)
    await asyncio.to_thread(handmade.delete, f"{handmade.MANAGED_BY}=plato-sas-operator", site.namespace)
    return job


async def _first(events: AsyncIterator[tuple[str, Document]]) -> Document:
    async for _, item in events:
        return item
    raise BenchError("the watch ended")


async def _run(api: Api, site: Site, job: Document, count: int, what: str) -> Alone:
    with phase(f"{count} {what}") as running:

        def show(flow: Flow) -> None:
            running.detail = f"{len(flow.finished)} finished"

        flow = Flow(api, jobs(site.namespace, job), count, resident=min(count, _RESIDENT), on_change=show)
        before = cpu.Usage.take()
        await flow.run()
        used = cpu.Usage.take().since(before)
    await asyncio.to_thread(handmade.delete, f"{handmade.LABEL}={_LABEL}", site.namespace)
    return Alone(rate_between(list(flow.finished.values()), 0.1, 0.9), per_star(used, count, 5))
