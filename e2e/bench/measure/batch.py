"""A batch of stars through the real node, from their creation to the last one's end."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from e2e.bench.measure.api import Api, connect
from e2e.bench.measure.flow import Flow
from e2e.bench.measure.flow import stars as stars_of
from e2e.bench.measure.site import Site
from e2e.progress import Phase, phase
from plato_sas.api import Document


@dataclass(frozen=True)
class Batch:
    """How long a batch took. `seconds`: from before the first creation to the last star's end."""

    seconds: float
    each: list[float]
    """Seconds from a star's creation to its end, in the order of ending."""


def run_batch(site: Site, pipeline: str, stars: int, **spec: Any) -> Batch:
    """Create stars all at once and wait for them. Raises BenchError if one does not succeed."""
    return asyncio.run(_run(site, pipeline, stars, spec))


async def _run(site: Site, pipeline: str, stars: int, spec: Document) -> Batch:
    async with connect() as api:
        with phase(f"{stars} stars, {pipeline}") as running:
            flow = _flow(api, site, pipeline, stars, spec, running)
            began = time.monotonic()
            await flow.run()
    each = [flow.finished[name] - flow.created[name] for name in flow.finished]
    return Batch(max(flow.finished.values()) - began, each)


def _flow(api: Api, site: Site, pipeline: str, stars: int, spec: Document, running: Phase) -> Flow:
    def show(flow: Flow) -> None:
        running.detail = f"{len(flow.finished)} finished"

    return Flow(api, stars_of(site.namespace, pipeline, **spec), stars, resident=stars, on_change=show)
