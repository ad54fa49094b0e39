"""The stage as the stager sees it: a JSON document that the operator puts into stage-in's environment."""

import json
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

STAGE_VARIABLE = "SAS_STAGE"


@dataclass(frozen=True)
class InputDescription:
    """A file that a step reads. `path` is relative to the volume's root."""

    name: str
    volume: str  # "inputs" or "products"
    path: str
    sha256: str | None = None  # expected content; None where nobody has said
    producer: str | None = None  # folder of the published step whose manifest holds the expected content
    output: str | None = None  # that step's output


@dataclass(frozen=True)
class OutputDescription:
    """A file that a step writes into /sas/out."""

    name: str
    path: str
    optional: bool


@dataclass(frozen=True)
class FactDescription:
    """A value that a step may report in facts.json."""

    name: str
    type: str  # boolean, integer, number or string


@dataclass(frozen=True)
class StepDescription:
    """One module run."""

    name: str
    module: str
    version: str
    image: str
    command: list[str] | None
    args: list[str] | None
    attempt: int
    seed: int
    parameters: dict[str, Any]
    inputs: list[InputDescription]
    outputs: list[OutputDescription]
    facts: list[FactDescription]


@dataclass(frozen=True)
class Stage:
    """The steps of one pod. `id` names the attempt's folder."""

    id: str
    star: str
    campaign: str
    steps: list[StepDescription]

    @property
    def folder(self) -> PurePosixPath:
        """The star's folder in the product tree."""
        return PurePosixPath(self.campaign, self.star)

    @property
    def attempts_folder(self) -> PurePosixPath:
        """Where the star's unfinished work is."""
        return self.folder / ".attempts"

    @property
    def attempt_folder(self) -> PurePosixPath:
        """Where this stage's unpublished outputs are, one folder a step."""
        return self.attempts_folder / self.id

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Stage":
        document = json.loads(text)
        steps = [
            StepDescription(
                **{
                    **step,
                    "inputs": [InputDescription(**one) for one in step["inputs"]],
                    "outputs": [OutputDescription(**one) for one in step["outputs"]],
                    "facts": [FactDescription(**one) for one in step["facts"]],
                }
            )
            for step in document["steps"]
        ]
        return cls(document["id"], document["star"], document["campaign"], steps)
