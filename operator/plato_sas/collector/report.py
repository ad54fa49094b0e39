"""The collector's report to the operator: one JSON document in its container's termination message."""

import json
from typing import NamedTuple

from plato_sas.stager.messages import room

CONTAINERS = 2  # of its pod, which share the space for messages
FORMATS = ("fits", "ecsv")


class TableReport(NamedTuple):
    """One published table; `sha256`: of its files, in the order of FORMATS."""

    name: str
    rows: int
    left_out: int
    sha256: list[str]


class CatalogueReport(NamedTuple):
    """What was published. Each star is counted once."""

    seen: int
    without_products: int
    with_problems: int
    tables: list[TableReport]

    def to_json(self) -> str:
        """JSON that fits into a termination message, even for sixteen tables with the longest names."""
        text = json.dumps({**self._asdict(), "tables": self.tables}, separators=(",", ":"))
        assert len(text) <= room(CONTAINERS), "limited by the resource's schema"
        return text


def parse_report(text: str) -> CatalogueReport | None:
    """The report in a termination message; None if there is none."""
    try:
        document = json.loads(text)
        return CatalogueReport(**{**document, "tables": [TableReport(*table) for table in document["tables"]]})
    except (ValueError, TypeError, KeyError):
        return None
