"""Batches of a list's stars, by priority and sample. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from plato_sas_airflow.mission.targets.errors import TargetListError
from plato_sas_airflow.mission.targets.validation import Target


@dataclass(frozen=True)
class PlannedBatch:
    """Stars of one sample and one priority. `number`: position in the order of processing, from 1."""

    number: int
    sample: str
    priority: int
    stars: tuple[str, ...]

    @property
    def name(self) -> str:
        """A file name that sorts in the order of the batches."""
        return f"{self.number:04d}-{self.sample or 'stars'}-{self.priority}"


def plan(targets: Iterable[Target], size: int, most: int) -> list[PlannedBatch]:
    """Batches of at most `size` stars, by descending priority, then by sample; within a batch in the list's order.

    Raises TargetListError if there would be more than `most` batches.
    """
    groups: dict[tuple[int, str], list[str]] = {}
    for target in targets:
        groups.setdefault((-target.priority, target.sample), []).append(target.star)
    parts = [
        (sample, -rank, tuple(stars[start : start + size]))
        for (rank, sample), stars in sorted(groups.items())
        for start in range(0, len(stars), size)
    ]
    if len(parts) > most:
        raise TargetListError(
            f"{sum(map(len, groups.values()))} stars of {len(groups)} samples and priorities are {len(parts)} batches "
            f"of at most {size}, and max_batches is {most}: raise batch_size, or use fewer different priorities"
        )
    return [PlannedBatch(number, *part) for number, part in enumerate(parts, 1)]
