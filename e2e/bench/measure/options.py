"""The options of a run."""

from dataclasses import dataclass

from e2e.bench.measure.pipelines import STEPS


@dataclass(frozen=True)
class Options:
    """One run. `stars` 0: the benchmark's own number."""

    quick: bool = False
    stars: int = 0
    window: int = 2000
    resident: int = 6000
    per_second: float = 0.0
    steps: int = STEPS
    ttl: str = "5s"
