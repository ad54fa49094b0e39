"""The yardstick: how fast containerd alone runs as many containers of the same image and command."""

import itertools
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from e2e.bench.measure import pipelines
from e2e.bench.measure.options import Options
from e2e.bench.measure.site import BenchError
from e2e.bench.report.result import Result
from e2e.cluster import LocalCluster
from e2e.install.modules import pinned
from e2e.progress import phase

CONTAINERS = 140
_QUICK_CONTAINERS = 14
_PARALLEL = (2, 3, 4, 6, 8)
_RUN_SECONDS = 60
_numbers = itertools.count(1)


def run(options: Options) -> Result:
    """Raises BenchError."""
    containers = _QUICK_CONTAINERS if options.quick else CONTAINERS
    return result(fastest(containers), containers)


def fastest(containers: int = CONTAINERS) -> dict[int, float]:
    """Seconds for all containers, by the number that run at a time, so that the yardstick is a fair one.

    Raises BenchError.
    """
    seconds = {}
    with phase(f"{containers} containers by containerd alone") as running:
        for parallel in _PARALLEL:
            seconds[parallel] = measure(containers, parallel)
            running.detail = ", ".join(f"{n} at a time {s:.1f} s" for n, s in seconds.items())
    return seconds


def result(seconds: dict[int, float], containers: int) -> Result:
    best = min(seconds.values())
    return Result(
        name="containers",
        title=f"{containers} containers by containerd alone, one shell command each",
        figure=round(best, 2),
        unit="s",
        bar=None,
        details={"containers": containers, "secondsByParallelism": {str(n): round(s, 2) for n, s in seconds.items()}},
    )


def measure(containers: int, parallel: int) -> float:
    """Seconds from the first container's creation to the last one's removal. Raises BenchError."""
    image = pinned(pipelines.IMAGE)
    ctr = LocalCluster().settings.ctr()

    def one(number: int) -> None:
        name = f"plato-bench-{number}"
        command = ["run", "--rm", "--snapshotter=overlayfs", image, name, "sh", "-c", "echo done > /tmp/product"]
        done = subprocess.run([*ctr, *command], capture_output=True, text=True, timeout=_RUN_SECONDS, check=False)
        if done.returncode != 0:
            raise BenchError(f"ctr run: {(done.stderr or done.stdout).strip()}")

    numbers = list(itertools.islice(_numbers, containers))
    began = time.monotonic()
    try:
        with ThreadPoolExecutor(parallel) as pool:
            list(pool.map(one, numbers))
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"a container did not end within {error.timeout:.0f} s") from None
    return time.monotonic() - began
