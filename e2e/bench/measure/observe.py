"""What the platform did between two looks: requests by the API server, processor time, the operator's metrics."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from e2e.bench.measure import cpu
from e2e.bench.measure.api import Api
from e2e.bench.measure.metrics import Samples
from e2e.bench.measure.site import Site

WRITES = frozenset({"POST", "PATCH", "PUT", "DELETE"})
_SERVER = "apiserver_request_total"
_SAMPLE_SECONDS = 5.0


@dataclass(frozen=True)
class Look:
    """One look at everything."""

    at: float
    server: Samples
    operator: Samples
    usage: cpu.Usage

    @classmethod
    async def take(cls, api: Api, site: Site) -> "Look":
        path = await asyncio.to_thread(site.metrics_path)
        server, operator = await asyncio.gather(api.text("/metrics"), api.text(path))
        return cls(
            time.monotonic(),
            Samples.parse(server, _SERVER),
            Samples.parse(operator, "plato_sas_"),
            cpu.Usage.take(),
        )


def operator_requests(before: Look, after: Look) -> dict[str, float]:
    """The operator's requests by method, whatever came of them; its watches are not among them."""
    found: dict[str, float] = {}
    for labels, value in after.operator.since(before.operator).of("plato_sas_api_requests_total"):
        found[labels["method"]] = found.get(labels["method"], 0.0) + value
    return found


def server_writes(before: Look, after: Look) -> dict[str, float]:
    """Everybody's writes by verb and resource, as the API server counts them."""
    found: dict[str, float] = {}
    for labels, value in after.server.since(before.server).of(_SERVER):
        if labels["verb"] in WRITES and value:
            resource = "/".join(one for one in (labels["resource"], labels["subresource"]) if one)
            key = f"{labels['verb']} {resource}"
            found[key] = found.get(key, 0.0) + value
    return dict(sorted(found.items(), key=lambda one: -one[1]))


@dataclass
class MemoryWatch:
    """Follows the resident memory of one process: `samples` of (seconds since the start, MiB)."""

    pid: int
    samples: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    async def run(self) -> None:
        """Until cancelled."""
        began = time.monotonic()
        while True:
            self.samples.append((time.monotonic() - began, cpu.resident(self.pid) / 2**20))
            await asyncio.sleep(_SAMPLE_SECONDS)

    @property
    def peak_mib(self) -> float:
        """The kernel's own figure, or the largest sample where the process has ended."""
        return max([cpu.peak(self.pid) / 2**20, *(value for _, value in self.samples)])


def per_star(amounts: dict[str, float], stars: int, digits: int = 3) -> dict[str, float]:
    """Amounts divided by the number of stars, those that round to nothing left out."""
    shares = {name: round(value / stars, digits) for name, value in amounts.items()}
    return {name: value for name, value in shares.items() if value}


def thinned(samples: Sequence[tuple[float, float]], most: int = 300) -> list[tuple[float, float]]:
    """At most so many of the samples, evenly chosen, the last among them."""
    step = max(1, -(-len(samples) // most))
    kept = list(samples[::step])
    if samples and kept[-1] != samples[-1]:
        kept.append(samples[-1])
    return [(round(at, 1), round(value, 2)) for at, value in kept]
