"""From a StarProcessing's creation to its first module's first instruction, on an idle cluster, and where it goes.

The module itself reports when it began, by the machine's clock. The stages before that are timed by the watches'
events as they arrive here, which adds some milliseconds to each.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from e2e.bench.measure import pipelines
from e2e.bench.measure.api import JOBS, PODS, STARS, Api, cancel, connect
from e2e.bench.measure.figures import percentile
from e2e.bench.measure.options import Options
from e2e.bench.measure.site import BenchError, Site, bench_site
from e2e.bench.report.result import Bar, Result
from e2e.progress import phase
from plato_sas.api import Document

COUNT = 20
_QUICK_COUNT = 2
_PIPELINE = "bench-latency"
_SECONDS = 1.5
_STAR_SECONDS = 60.0
_FINISHED = ("Succeeded", "Failed", "Cancelled", "Rejected")


@dataclass
class Marks:
    """When each stage of one star was first seen, in seconds since the epoch."""

    at: dict[str, float] = field(default_factory=dict[str, float])
    done: asyncio.Event = field(default_factory=asyncio.Event)
    state: str = ""

    def see(self, *marks: str) -> None:
        now = time.time()
        for mark in marks:
            self.at.setdefault(mark, now)


def pod_marks(pod: Document) -> Iterator[str]:
    """What a pod's state says of how far it has come."""
    yield "pod created"
    if pod["spec"].get("nodeName"):
        yield "pod scheduled"
    status = pod.get("status", {})
    for condition in status.get("conditions", []):
        if condition["type"] == "PodReadyToStartContainers" and condition["status"] == "True":
            yield "sandbox ready"
    for container in status.get("initContainerStatuses", []):
        name = "stage-in" if container["name"] == "stage-in" else "module"
        if container["state"].keys() & {"running", "terminated"}:
            yield f"{name} seen to run"
        if "terminated" in container["state"]:
            yield f"{name} seen to have ended"


def run(options: Options) -> Result:
    """Raises BenchError."""
    count = options.stars or (_QUICK_COUNT if options.quick else COUNT)
    with bench_site() as site:
        site.apply(pipelines.chain(_PIPELINE, 1, "date +%s.%N > /sas/out/{output}.h5"))
        found = asyncio.run(_measure(site, count + 1))[1:]  # the first warms up what is loaded once
    latencies = [one["module began"] for one in found]
    marks = sorted({mark for one in found for mark in one}, key=lambda mark: _median(found, mark))
    return Result(
        name="latency",
        title=f"from creation to the first module running, p50 of {count} stars, idle cluster",
        figure=round(percentile(latencies, 0.5), 3),
        unit="s",
        bar=Bar("<=", _SECONDS),
        details={
            "percentiles": {f"p{round(100 * p)}": round(percentile(latencies, p), 3) for p in (0, 0.5, 0.9, 1)},
            "secondsAfterCreation": {mark: round(_median(found, mark), 3) for mark in marks},
            "each": [round(one, 3) for one in latencies],
        },
    )


def _median(found: list[dict[str, float]], mark: str) -> float:
    return percentile([one[mark] for one in found if mark in one], 0.5)


async def _measure(site: Site, count: int) -> list[dict[str, float]]:
    """For each star in turn: mark to seconds after its creation."""
    marks: dict[str, Marks] = {}
    async with connect() as api:
        watches = [
            asyncio.create_task(_watch(api, site, path, look, marks))
            for path, look in ((STARS, _see_star), (JOBS, _see_job), (PODS, _see_pod))
        ]
        try:
            with phase(f"{count} stars one after the other") as running:
                found = []
                for number in range(count):
                    found.append(await _one(api, site, f"star-{number:03d}", marks, watches))
                    running.detail = f"{number + 1} of {count}, last {found[-1]['module began']:.2f} s"
        finally:
            await cancel(*watches)
    return found


async def _one(
    api: Api, site: Site, name: str, marks: dict[str, Marks], watches: list[asyncio.Task[None]]
) -> dict[str, float]:
    mine = marks[name] = Marks()
    path = STARS.format(namespace=site.namespace)
    created = time.time()
    await api.request("POST", path, pipelines.star(name, _PIPELINE))
    mine.see("creation answered")
    done = asyncio.create_task(mine.done.wait())
    await asyncio.wait({done, *watches}, timeout=_STAR_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    for watch in watches:
        if watch.done():
            watch.result()
    if not done.done() or mine.state != "Succeeded":
        await cancel(done)
        raise BenchError(f"star {name} is {mine.state or 'not known'} after at most {_STAR_SECONDS:.0f} s")
    product = site.products / pipelines.CAMPAIGN / name / "step1" / f"{pipelines.product(1)}.h5"
    mine.at["module began"] = float(product.read_text())
    return {mark: at - created for mark, at in mine.at.items()}


async def _watch(
    api: Api, site: Site, path: str, look: Callable[[Document, dict[str, Marks]], None], marks: dict[str, Marks]
) -> None:
    path = path.format(namespace=site.namespace)
    _, version = await api.list(path)
    async for kind, item in api.watch(path, version):
        if kind != "DELETED":
            look(item, marks)


def _see_star(star: Document, marks: dict[str, Marks]) -> None:
    mine = marks.get(star["metadata"]["name"])
    if mine is None:
        return
    mine.state = star.get("status", {}).get("state", "")
    mine.see("star seen", *([f"star {mine.state}"] if mine.state else []))
    if mine.state in _FINISHED:
        mine.done.set()


def _see_job(job: Document, marks: dict[str, Marks]) -> None:
    if mine := marks.get(job["metadata"].get("labels", {}).get("plato-sas.io/processing", "")):
        mine.see("Job created")


def _see_pod(pod: Document, marks: dict[str, Marks]) -> None:
    if mine := marks.get(pod["metadata"].get("labels", {}).get("plato-sas.io/processing", "")):
        mine.see(*pod_marks(pod))
