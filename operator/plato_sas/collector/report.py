"""What the collector tells the operator: one JSON document in its container's termination message."""

import json
from typing import NamedTuple

from plato_sas.stager.messages import room

CONTAINERS = 2  # of its pod, which share the room for messages
FORMATS = ("fits", "ecsv")


class TableReport(NamedTuple):
    """One published table; `sha256` of its file in each of FORMATS."""

    name: str
    rows: int
    left_out: int
    sha256: list[str]


class CatalogueReport(NamedTuple):
    """What was published. Stars are counted once each."""

    seen: int
    without_products: int
    with_problems: int
    tables: list[TableReport]

    def to_json(self) -> str:
        """At most as long as a termination message may be: sixteen tables of the longest names fit."""
        text = json.dumps({**self._asdict(), "tables": self.tables}, separators=(",", ":"))
        assert len(text) <= room(CONTAINERS), "bounded by the resource's schema"
        return text


def parse_report(text: str) -> CatalogueReport | None:
    """The report in a termination message; None if it is none."""
    try:
        document = json.loads(text)
        return CatalogueReport(**{**document, "tables": [TableReport(*table) for table in document["tables"]]})
    except (ValueError, TypeError, KeyError):
        return None
