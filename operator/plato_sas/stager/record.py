"""The stager's own files in an attempt's folder: hidden, beside the steps' folders, out of reach of modules."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from plato_sas.stager.description import Stage
from plato_sas.stager.files import write_durably
from plato_sas.stager.removing import remove

RECORD = ".stage.json"


class AttemptRecord(NamedTuple):
    """Left by stage-in for publish: the stage, and the SHA-256 of every input it read, by step and input.

    `externals`: the identity of each file of the inputs volume that a module's container mounts, by path.
    """

    stage: Stage
    inputs: Mapping[str, Mapping[str, str]]
    externals: Mapping[str, list[int]] = {}

    def write(self, attempt: Path) -> None:
        document = {**self._asdict(), "stage": json.loads(self.stage.to_json())}
        write_durably(attempt / RECORD, json.dumps(document))

    @classmethod
    def read(cls, attempt: Path) -> "AttemptRecord | None":
        """None if the attempt's folder is gone or the record is incomplete. Raises OSError."""
        try:
            document = json.loads((attempt / RECORD).read_text())
            stage = Stage.from_json(json.dumps(document["stage"]))
            return cls(stage, document["inputs"], document.get("externals", {}))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None


def remove_if_empty(attempt: Path) -> None:
    """Remove an attempt's folder if no step's folder is left in it. Raises OSError."""
    try:
        names = [entry.name for entry in attempt.iterdir()]
    except FileNotFoundError:
        return
    if all(name.startswith(".") for name in names):
        remove(attempt)
