"""The operator's order for the collector: one JSON document in the environment of its containers."""

import json
from pathlib import PurePosixPath
from typing import Any, NamedTuple

ORDER_VARIABLE = "SAS_CATALOGUE"

CATALOGUES = ".catalogues"  # in a campaign's folder
ATTEMPTS = ".attempts"  # in there: unpublished attempts
CAMPAIGN_MOUNT = "/sas/campaign"  # to read
CATALOGUES_MOUNT = "/sas/catalogues"  # to write

READABLE = (".json", ".h5", ".hdf5")  # files of products
DEFAULT_POINTER = "/value"
PROVENANCE = ("attempt", "digest", "key")  # columns of their own for each step of a table


class StepOrder(NamedTuple):
    """A step of the pipeline, and the module that must have produced it."""

    name: str
    module: str


class ColumnOrder(NamedTuple):
    """One column: `fact` of the step, or the value at `pointer` in its `output`."""

    name: str
    type: str  # boolean, integer, number or string
    step: str
    fact: str | None = None
    output: str | None = None
    pointer: str = DEFAULT_POINTER
    unit: str | None = None
    description: str | None = None


class TableOrder(NamedTuple):
    """One table."""

    name: str
    columns: list[ColumnOrder]
    description: str | None = None

    @property
    def steps(self) -> list[str]:
        """The steps of its columns, in the order of the columns."""
        return list(dict.fromkeys(column.step for column in self.columns))


class CatalogueOrder(NamedTuple):
    """The whole catalogue. `attempt` names its working folder; no `stars`: all stars of the campaign."""

    name: str
    campaign: str
    pipeline: str
    revision: str
    attempt: str
    processes: int
    steps: list[StepOrder]
    tables: list[TableOrder]
    stars: list[str] = []

    def to_json(self) -> str:
        """Without default values, since two objects of the API server contain the document."""
        document = {
            **self._asdict(),
            "steps": {step.name: step.module for step in self.steps},
            "tables": [
                _given({**table._asdict(), "columns": [_given(column._asdict()) for column in table.columns]})
                for table in self.tables
            ],
        }
        return json.dumps(_given(document), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "CatalogueOrder":
        document = json.loads(text)
        tables = [
            TableOrder(**{**table, "columns": [ColumnOrder(**column) for column in table["columns"]]})
            for table in document["tables"]
        ]
        steps = [StepOrder(name, module) for name, module in document["steps"].items()]
        return cls(**{**document, "steps": steps, "tables": tables})


def catalogue_folder(campaign: str, name: str) -> PurePosixPath:
    """A catalogue's folder, below the products volume's root."""
    return PurePosixPath(campaign, CATALOGUES, name)


def provenance_column(step: str, what: str) -> str:
    """The column with the provenance of a step's values."""
    return f"{step.replace('-', '_')}_{what}"


def _given(document: dict[str, Any]) -> dict[str, Any]:
    default = {"pointer": DEFAULT_POINTER}
    return {key: value for key, value in document.items() if value not in (None, []) and value != default.get(key)}
