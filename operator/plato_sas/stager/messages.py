"""The stager's reports to the operator: one JSON document in the container's termination message."""

import json
from typing import Any, NamedTuple

from plato_sas.text import printable

# The kubelet's limits in bytes for one container's message, and for all messages of a pod, divided equally among its
# containers (normalizeStatus in pkg/kubelet/status/status_manager.go). It cuts longer messages.
_CONTAINER_LIMIT = 4096
_POD_LIMIT = 12 * 1024
_SHORTEST = 200  # the least space that the other texts of a report leave to a message


def room(containers: int) -> int:
    """How many bytes each container of a pod with so many containers may report."""
    return min(_CONTAINER_LIMIT, _POD_LIMIT // containers)


class Problem(Exception):
    """Why a stage cannot start, or its products cannot be published. All three reach the status."""

    def __init__(self, step: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.step = step
        self.reason = reason  # CamelCase
        self.message = printable(message)  # it may name what a module has made

    def to_json(self, limit: int) -> str:
        """JSON of at most `limit` bytes."""
        message = self.message
        while True:
            text = _encode({"error": {"step": self.step, "reason": self.reason, "message": message}})
            if len(text) <= limit or len(message) <= _SHORTEST:
                return text
            message = shortened(message, len(message) - max(1, (len(text) - limit) // 6))


class PublishedStep(NamedTuple):
    """One published step: digest over its outputs (None if the report had no room), facts, absent optional outputs."""

    digest: str | None = None
    facts: dict[str, Any] = {}
    missing: list[str] = []

    def to_document(self) -> dict[str, Any]:
        return {key: value for key, value in self._asdict().items() if value}


class StagedIn(NamedTuple):
    """Stage-in's report.

    `inputs`: SHA-256 of every external product read, by name. `reused`: steps whose products exist already; if there
    are any, the stage does not begin.
    """

    inputs: dict[str, str] = {}
    reused: dict[str, PublishedStep] = {}

    def to_json(self) -> str:
        document: dict[str, Any] = {"inputs": self.inputs}
        if self.reused:
            document["reused"] = {name: step.to_document() for name, step in self.reused.items()}
        return _encode(document)

    def fitted(self, limit: int) -> "StagedIn":
        """The report with as much as fits: first without digests of reused steps (manifests have them), then inputs."""
        if len(self.to_json()) <= limit:
            return self
        fitting = StagedIn(self.inputs, without_digests(self.reused))
        inputs = dict(self.inputs)
        while inputs and len(fitting.to_json()) > limit:
            inputs.popitem()
            fitting = StagedIn(inputs, fitting.reused)
        return fitting


class Withheld(NamedTuple):
    """Why a step's products were not published."""

    reason: str
    message: str


class Published(NamedTuple):
    """Publish's report, by step. A step in neither has yet to be published, or depends on a withheld one."""

    steps: dict[str, PublishedStep] = {}
    failed: dict[str, Withheld] = {}

    def to_json(self) -> str:
        document: dict[str, Any] = {"steps": {name: step.to_document() for name, step in self.steps.items()}}
        if self.failed:
            document["failed"] = {name: one._asdict() for name, one in self.failed.items()}
        return _encode(document)

    def fitted(self, limit: int) -> "Published | None":
        """The report, without digests if they do not fit (manifests have them); None if it still does not fit."""
        fitting = self if len(self.to_json()) <= limit else Published(without_digests(self.steps), self.failed)
        return fitting if len(fitting.to_json()) <= limit else None


def without_digests(steps: dict[str, PublishedStep]) -> dict[str, PublishedStep]:
    """The steps without their digests."""
    return {name: step._replace(digest=None) for name, step in steps.items()}


def shortened(message: str, length: int) -> str:
    """The message, cut to `limit` characters."""
    return message if len(message) <= length else message[: length - 3] + "..."


def _encode(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _steps(document: dict[str, Any], key: str) -> dict[str, PublishedStep]:
    return {name: PublishedStep(**step) for name, step in document.get(key, {}).items()}


def parse_problem(text: str) -> Problem | None:
    """The problem in a termination message; None if there is none."""
    error = _document(text).get("error")
    return Problem(error["step"], error["reason"], error["message"]) if isinstance(error, dict) else None


def parse_staged_in(text: str) -> StagedIn | None:
    document = _document(text)
    if not isinstance(document.get("inputs"), dict):
        return None
    return StagedIn(document["inputs"], _steps(document, "reused"))


def parse_published(text: str) -> Published | None:
    document = _document(text)
    if not isinstance(document.get("steps"), dict):
        return None
    failed = {name: Withheld(**one) for name, one in document.get("failed", {}).items()}
    return Published(_steps(document, "steps"), failed)
