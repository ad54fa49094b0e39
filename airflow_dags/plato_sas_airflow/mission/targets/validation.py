"""Which rows of a target list are valid. Pure."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from plato_sas_airflow.batches.batch import resource_name
from plato_sas_airflow.mission.targets.errors import TargetListError
from plato_sas_airflow.mission.targets.tables import Row, Table
from plato_sas_airflow.stars.fields import problems

# A sample becomes part of a file's name.
_SAMPLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,15}", re.ASCII)
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Target:
    """A star to process. `sample`: empty if the list has none."""

    star: str
    sample: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is left out: its number, its star, and why."""

    number: int
    star: str
    problem: str


@dataclass(frozen=True)
class TargetList:
    """A checked list. `unit`: what the bad rows' numbers count: `line` or `row`. `others`: rows of other samples."""

    name: str
    unit: str
    targets: Sequence[Target]
    bad: Sequence[BadRow] = ()
    others: int = 0

    def text(self) -> str:
        """The counts in one line."""
        other = f", {self.others} of other samples" if self.others else ""
        return f"{self.name}: {len(self.targets)} stars, {len(self.bad)} {self.unit}s that are not valid{other}"

    def problems(self, shown: int = _SHOWN) -> list[str]:
        """The first bad rows, one line each."""
        lines = [f"{self.unit} {one.number}: {one.star or 'no star'}: {one.problem}" for one in self.bad[:shown]]
        more = len(self.bad) - len(lines)
        return [*lines, f"and {more} more"] if more else lines

    def require_sound(self, max_fraction: float) -> None:
        """Raises TargetListError if there are too many bad rows, or no valid one."""
        rows = len(self.targets) + len(self.bad)
        why = f": {'; '.join(self.problems())}" if self.bad else ""
        if not self.targets:
            raise TargetListError(f"{self.name}: there is no star in it to process{why}")
        if len(self.bad) > max_fraction * rows:
            raise TargetListError(
                f"{self.name}: {len(self.bad)} of {rows} {self.unit}s are not valid, "
                f"and {max_fraction:.2%} are accepted{why}"
            )


@dataclass
class Validator:
    """Checks the rows of one list.

    :param table: has the columns of `columns`, of which sample and priority are optional.
    :param columns: names of the columns for star, sample and priority.
    :param campaign: the run's campaign, in which no two stars may share a resource name.
    :param sample_priorities: priority of a star without one of its own, by sample; else 0.
    :param samples: the samples to keep; empty: all.
    """

    table: Table
    columns: tuple[str, str, str]
    campaign: str
    sample_priorities: Mapping[str, int] = field(default_factory=dict)
    samples: Collection[str] = ()

    def __post_init__(self) -> None:
        self._places = [
            self.table.columns.index(column) if column in self.table.columns else None for column in self.columns
        ]
        self._names: dict[str, tuple[int, str]] = {}

    def validate(self, name: str) -> TargetList:
        """The valid and the bad rows. `name`: the list's name in messages."""
        targets: list[Target] = []
        bad: list[BadRow] = []
        others = 0
        for row in self.table.rows:
            star = "" if row.problem else _identifier(self._cell(row, 0))
            try:
                target = self._target(row, star)
                if self.samples and target.sample not in self.samples:
                    others += 1
                    continue
                self._claim(row, target.star)
            except ValueError as error:
                bad.append(BadRow(row.number, star[:64], str(error)))
            else:
                targets.append(target)
        if len(targets) + len(bad) + others != len(self.table.rows):
            raise TargetListError(f"{name}: {len(self.table.rows)} {self.table.unit}s, and not each is accounted for")
        return TargetList(name, self.table.unit, targets, bad, others)

    def _cell(self, row: Row, which: int) -> object:
        place = self._places[which]
        return None if place is None else row.values[place]

    def _target(self, row: Row, star: str) -> Target:
        """Raises ValueError."""
        if row.problem:
            raise ValueError(row.problem)
        if not star:
            raise ValueError(f"{self.columns[0]} is empty")
        sample = _identifier(self._cell(row, 1))
        if sample and not _SAMPLE.fullmatch(sample):
            raise ValueError(f"{self.columns[1]} {sample[:32]!r} is not 1 to 16 letters, digits, dots, - and _")
        priority = self._cell(row, 2)
        number = self.sample_priorities.get(sample, 0) if priority is None else _whole(self.columns[2], priority)
        found = problems({"star": star, "priority": number})
        if found:
            raise ValueError("; ".join(found))
        return Target(star, sample, number)

    def _claim(self, row: Row, star: str) -> None:
        """Raises ValueError if an earlier row has the star, or one with the same resource name."""
        number, other = self._names.setdefault(resource_name(star, self.campaign), (row.number, star))
        if number == row.number:
            return
        where = f"{self.table.unit} {number}"
        if other == star:
            raise ValueError(f"is already in {where}")
        raise ValueError(f"would be the same StarProcessing as {other} in {where}")


def _identifier(value: object) -> str:
    """The value as text; anything but a text or a whole number is refused later."""
    return "" if value is None else str(value)


def _whole(column: str, value: object) -> int:
    """A whole number; 10.0 is accepted, since tables with missing values turn 10 into it. Raises ValueError."""
    try:
        if isinstance(value, int | float | str) and not isinstance(value, bool) and float(value) == int(float(value)):
            return int(float(value))
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{column} {str(value)[:32]!r} is not a whole number")
