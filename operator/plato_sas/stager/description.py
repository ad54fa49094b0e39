"""The operator's orders for the stager: JSON documents in the environment of its two containers.

The stager uses named tuples because importing dataclasses takes as long as all its other imports.
"""

import json
from pathlib import PurePosixPath
from typing import Any, NamedTuple

STAGE_VARIABLE = "SAS_STAGE"
PUBLISH_VARIABLE = "SAS_PUBLISH"

ATTEMPTS = ".attempts"  # in a star's folder: unpublished attempts
UPSTREAM = "upstream"  # in a module's /sas: folders of the steps that ran before it in the same pod


class InputDescription(NamedTuple):
    """A file that a step reads. `path` is relative to the volume's root.

    A `late` input is copied by stage-in itself, which alone can tell whether it exists; one `made_by` a step of the
    same stage is a link into that step's folder; the others are mounted.
    """

    name: str
    volume: str  # "inputs" or "products"
    path: str
    sha256: str | None = None  # expected content; None if unknown
    producer: str | None = None  # folder of the published step whose manifest has the expected content
    output: str | None = None  # that step's output
    made_by: str | None = None  # the step of this stage that produces it
    optional: bool = False
    late: bool = False
    external: str | None = None  # its name in the pipeline, if that is another
    known: str | None = None  # SHA-256 of what another step of this run has read there
    chosen: bool = False  # the star's spec says the path, not the pipeline

    @property
    def file(self) -> PurePosixPath:
        """`path`, taken apart."""
        return PurePosixPath(self.path)


class OutputDescription(NamedTuple):
    """A file that a step writes into /sas/out."""

    name: str
    path: str
    optional: bool = False
    max_size: int | None = None  # in bytes; the order's if None


class FactDescription(NamedTuple):
    """A value that a step may report in facts.json."""

    name: str
    type: str  # boolean, integer, number or string


class StepDescription(NamedTuple):
    """One module run. `forced`: the rerun for which it runs even if products with the same key exist."""

    name: str
    module: str
    version: str
    image: str
    attempt: int
    seed: int
    command: list[str] | None = None
    args: list[str] | None = None
    parameters: dict[str, Any] = {}
    inputs: list[InputDescription] = []
    outputs: list[OutputDescription] = []
    facts: list[FactDescription] = []
    forced: int | None = None


class Stage(NamedTuple):
    """The steps of one pod. `id` names the attempt's folder; `processing` is the uid of the StarProcessing."""

    id: str
    star: str
    campaign: str
    processing: str
    rerun: int
    steps: list[StepDescription]
    prefixes: list[str] = []  # folders of the inputs volume in which a chosen path may be

    @property
    def containers(self) -> int:
        """Of the stage's pod: stage-in, the steps, publish."""
        return len(self.steps) + 2

    @property
    def folder(self) -> PurePosixPath:
        """The star's folder in the product tree."""
        return PurePosixPath(self.campaign, self.star)

    @property
    def attempts_folder(self) -> PurePosixPath:
        """The folder of the star's unpublished attempts."""
        return self.folder / ATTEMPTS

    @property
    def attempt_folder(self) -> PurePosixPath:
        """The folder of this stage's unpublished outputs, with one folder per step."""
        return self.attempts_folder / self.id

    def to_json(self) -> str:
        """Without default values, since two objects of the API server contain the document."""
        return json.dumps(_compact(self), separators=(",", ":"), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Stage":
        document = json.loads(text)
        steps = [
            StepDescription(
                **{
                    **step,
                    "inputs": [InputDescription(**one) for one in step.get("inputs", [])],
                    "outputs": [OutputDescription(**one) for one in step.get("outputs", [])],
                    "facts": [FactDescription(**one) for one in step.get("facts", [])],
                }
            )
            for step in document["steps"]
        ]
        return cls(**{**document, "rerun": document.get("rerun", 0), "steps": steps})


class PublishOrder(NamedTuple):
    """What to publish: steps of one attempt, which ran in this pod or in an earlier one."""

    campaign: str
    star: str
    attempt: str  # the id of the stage that ran them
    steps: list[str]
    containers: int = 1  # of the publishing pod: they share the space for reports
    max_size: int | None = None  # of an output whose description has no limit, in bytes

    @property
    def folder(self) -> PurePosixPath:
        """The star's folder in the product tree."""
        return PurePosixPath(self.campaign, self.star)

    @property
    def attempt_folder(self) -> PurePosixPath:
        """The folder of the attempt's outputs."""
        return self.folder / ATTEMPTS / self.attempt

    def to_json(self) -> str:
        return json.dumps(self._asdict(), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "PublishOrder":
        return cls(**json.loads(text))


def _compact(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {
            key: one if key == "parameters" else _compact(one)
            for key, one in value.items()
            if one is not None and one is not False and one != [] and one != {} and not (key == "rerun" and one == 0)
        }
    return [_compact(one) for one in value] if isinstance(value, list) else value
