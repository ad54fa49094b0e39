"""A benchmark's result and its file."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from e2e.layout import LOCAL
from plato_sas.api import Document

FOLDER = LOCAL / "bench"


@dataclass(frozen=True)
class Bar:
    """What a figure should be: at most (`<=`, `<`) or at least (`>=`) a value."""

    relation: Literal["<=", "<", ">="]
    value: float

    def met(self, figure: float) -> bool:
        match self.relation:
            case "<=":
                return figure <= self.value
            case "<":
                return figure < self.value
            case ">=":
                return figure >= self.value

    def __str__(self) -> str:
        return f"{self.relation} {self.value:g}"


@dataclass(frozen=True)
class Figure:
    """A further figure of a benchmark with a bar of its own."""

    name: str
    value: float
    unit: str
    bar: Bar | None = None


@dataclass(frozen=True)
class Result:
    """One run of a benchmark. `bar` None: measured for comparison only.

    `compared_with`: what was measured in the same run, by name. `further`: figures with bars of their own.
    """

    name: str
    title: str
    figure: float
    unit: str
    bar: Bar | None
    compared_with: dict[str, Any] = field(default_factory=dict[str, Any])
    further: list[Figure] = field(default_factory=list[Figure])
    details: Document = field(default_factory=dict[str, Any])

    @property
    def met(self) -> bool:
        """Whether every bar is met."""
        return all(bar.met(value) for _, value, _, bar in self.figures() if bar is not None)

    def figures(self) -> Iterator[tuple[str, float, str, Bar | None]]:
        """The figure, then the further ones: name, value, unit, bar."""
        yield self.title, self.figure, self.unit, self.bar
        for one in self.further:
            yield one.name, one.value, one.unit, one.bar


def now() -> str:
    """UTC, RFC 3339, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def document(result: Result, *, started: str, machine: Document, versions: Document, quick: bool) -> Document:
    """What is written of a result."""
    return {
        **asdict(result),
        "bar": None if result.bar is None else str(result.bar),
        "further": [
            {
                "name": one.name,
                "value": one.value,
                "unit": one.unit,
                "bar": None if one.bar is None else str(one.bar),
                "met": one.bar is None or one.bar.met(one.value),
            }
            for one in result.further
        ],
        "figureMet": result.bar is None or result.bar.met(result.figure),
        "met": result.met,
        "quick": quick,
        "started": started,
        "finished": now(),
        "machine": machine,
        "versions": versions,
    }


def write(content: Document, folder: Path = FOLDER) -> Path:
    """Put a result's document into its file, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{content['name']}.json"
    partial = file.with_suffix(".new")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    partial.replace(file)
    return file


def read_all(folder: Path = FOLDER) -> dict[str, Document]:
    """Every result that was written, by name."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}
