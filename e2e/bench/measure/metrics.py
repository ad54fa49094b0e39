"""Metrics in Prometheus' text format, as samples that can be subtracted."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Samples:
    """One look at a process's metrics."""

    values: Mapping[tuple[str, Labels], float]

    @classmethod
    def parse(cls, text: str, *names: str) -> "Samples":
        """Only samples whose name begins with one of `names`, if there are any. Raises ValueError."""
        if names:
            kept = [line for line in text.splitlines() if line.removeprefix("# TYPE ").startswith(names)]
            text = "\n".join(kept) + "\n"
        values = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        return cls(values)

    def of(self, name: str) -> Iterator[tuple[dict[str, str], float]]:
        """Labels and values of a metric."""
        return ((dict(labels), value) for (known, labels), value in self.values.items() if known == name)

    def one(self, name: str, default: float | None = None) -> float:
        """The value of a metric without labels. Raises KeyError if it is not there."""
        found = self.values.get((name, frozenset()), default)
        if found is None:
            raise KeyError(name)
        return found

    def since(self, before: "Samples") -> "Samples":
        """What was added since an earlier look. A counter that was reset counts from nothing."""
        grown = {}
        for key, value in self.values.items():
            earlier = before.values.get(key, 0.0)
            grown[key] = value - earlier if value >= earlier else value
        return Samples(grown)

    def buckets(self, name: str) -> dict[float, float]:
        """A histogram's cumulative counts by upper bound, all its labels taken together."""
        counts: dict[float, float] = {}
        for labels, value in self.of(f"{name}_bucket"):
            bound = math.inf if labels["le"] == "+Inf" else float(labels["le"])
            counts[bound] = counts.get(bound, 0.0) + value
        return counts
