"""The operator with many live StarProcessings: its memory, and how soon a new one has caught up.

A few stars really run, on simulated nodes; the others are copies of them: StarProcessings with the status of one that
has finished, written while no operator runs. To the operator they are the same, and it takes minutes instead of hours.
"""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable

import aiohttp

from e2e.bench.measure import cpu, pipelines
from e2e.bench.measure.api import STARS as STARS_PATH
from e2e.bench.measure.api import Api, ApiFailed, connect
from e2e.bench.measure.flow import Flow
from e2e.bench.measure.flow import stars as stars_of
from e2e.bench.measure.metrics import Samples
from e2e.bench.measure.options import Options
from e2e.bench.measure.simulator import simulated_nodes
from e2e.bench.measure.simulator import values as simulator_values
from e2e.bench.measure.site import BenchError, Site, bench_site
from e2e.bench.report.result import Bar, Figure, Result
from e2e.kubernetes import kubectl
from e2e.progress import phase

STARS = 20_000
_QUICK_STARS = 200
_RUN_THROUGH = 20
_PIPELINE = "bench-memory"
_MEBIBYTES = 500.0
_RESTART_SECONDS = 30.0
_PATIENCE_SECONDS = 300.0
_LOOK_SECONDS = 0.25
_CREATORS = 16
_DEPLOYMENT = "deployment/plato-sas-operator"


def run(options: Options) -> Result:
    """Raises BenchError, CommandFailed."""
    stars = options.stars or (_QUICK_STARS if options.quick else STARS)
    values = (*simulator_values(), "controller.jobTtlSeconds=1", "resources.limits.memory=4Gi")
    with bench_site(values=values) as site, simulated_nodes():
        site.apply(pipelines.chain(_PIPELINE, options.steps))
        return asyncio.run(_measure(site, stars))


async def _measure(site: Site, stars: int) -> Result:
    async with connect() as api:
        with phase(f"{_RUN_THROUGH} stars run through"):
            await Flow(api, stars_of(site.namespace, _PIPELINE), _RUN_THROUGH, resident=_RUN_THROUGH).run()
        alone = cpu.resident(await asyncio.to_thread(site.operator_pid)) / 2**20
        await asyncio.to_thread(_scale, site, 0)
        await _copy(api, site, stars - _RUN_THROUGH)
        with phase("operator started, until it has caught up"):
            await asyncio.to_thread(_scale, site, 1)
            await _caught_up(api, site, stars)
        pid = await asyncio.to_thread(site.operator_pid)
        resident, peak = cpu.resident(pid) / 2**20, cpu.peak(pid) / 2**20
        with phase("operator killed, until it has caught up"):
            os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            await _caught_up(api, site, stars)
            seconds = time.monotonic() - killed
        pid = await asyncio.to_thread(site.operator_pid)
        again, again_peak = cpu.resident(pid) / 2**20, cpu.peak(pid) / 2**20
    return Result(
        name="memory",
        title=f"operator's peak memory with {stars} live StarProcessings",
        figure=round(max(peak, again_peak), 1),
        unit="MiB",
        bar=Bar("<", _MEBIBYTES),
        further=[Figure("from SIGKILL to caught up", round(seconds, 1), "s", Bar("<", _RESTART_SECONDS))],
        details={
            "stars": stars,
            "residentMiB": {
                f"with {_RUN_THROUGH} stars": round(alone, 1),
                "withAllStars": round(resident, 1),
                "afterRestart": round(again, 1),
            },
            "peakMiB": {"first": round(peak, 1), "afterRestart": round(again_peak, 1)},
        },
    )


def _scale(site: Site, replicas: int) -> None:
    kubectl("scale", _DEPLOYMENT, f"--replicas={replicas}", namespace=site.namespace)
    if replicas:
        kubectl("rollout", "status", _DEPLOYMENT, "--timeout=120s", namespace=site.namespace, timeout=130)
    else:
        pods = ("pods", "--selector=app.kubernetes.io/name=plato-sas", "--for=delete", "--timeout=60s")
        kubectl("wait", *pods, namespace=site.namespace)


async def _copy(api: Api, site: Site, count: int) -> None:
    """Further stars with the status of one that has finished."""
    path = STARS_PATH.format(namespace=site.namespace)
    items, _ = await api.list(path)
    status = items[0]["status"]
    numbers = iter(range(count))
    with phase(f"{count} finished stars written") as running:

        async def write() -> None:
            for number in numbers:
                name = f"copy-{number:06d}"
                await api.request("POST", path, pipelines.star(name, _PIPELINE))
                await api.request("PATCH", f"{path}/{name}/status", {"status": status})
                running.detail = f"{number + 1}"

        async with asyncio.TaskGroup() as group:
            for _ in range(_CREATORS):
                group.create_task(write())


async def _caught_up(api: Api, site: Site, stars: int) -> None:
    """Wait until the operator has looked at every star and has nothing left to do. Raises BenchError."""

    async def lacking() -> str:
        path = await asyncio.to_thread(site.metrics_path)
        samples = Samples.parse(await api.text(path), "plato_sas_")
        known = samples.one("plato_sas_starprocessings", 0.0)
        reconciled = samples.of("plato_sas_reconcile_duration_seconds_count")
        seen = sum(value for labels, value in reconciled if labels["kind"] == "StarProcessing")
        depth = sum(value for _, value in samples.of("plato_sas_queue_depth"))
        if known == stars and seen >= stars and depth == 0:
            return ""
        return f"{known:.0f} of {stars} stars known, {seen:.0f} looked at, {depth:.0f} waiting"

    await _until(lacking, "the operator has caught up")


async def _until(condition: Callable[[], Awaitable[str]], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            wrong = await condition()
        except (ApiFailed, aiohttp.ClientError, TimeoutError, BenchError) as error:
            wrong = str(error)  # no operator answers while it starts
        if not wrong:
            return
        if time.monotonic() > deadline:
            raise BenchError(f"{what}: not within {_PATIENCE_SECONDS:.0f} s: {wrong}")
        await asyncio.sleep(_LOOK_SECONDS)
