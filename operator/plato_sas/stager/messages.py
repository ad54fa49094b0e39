"""The stager's reports to the operator: one JSON document in the container's termination message."""

import json
import math
import re
from typing import Any, NamedTuple, TypeVar

from plato_sas.text import printable

T = TypeVar("T")

# The kubelet's limits in bytes for one container's message, and for all messages of a pod, divided equally among its
# containers (normalizeStatus in pkg/kubelet/status/status_manager.go). It cuts longer messages.
_CONTAINER_LIMIT = 4096
_POD_LIMIT = 12 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_PRODUCT = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_FACT = re.compile(r"[a-z][a-z0-9_]{0,62}")
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
    """One published step: digest over its outputs, facts, absent optional outputs, and the Job that made a reused one.

    Digest and Job are None if the report had no room.
    """

    digest: str | None = None
    facts: dict[str, Any] = {}
    missing: list[str] = []
    job: str | None = None

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
    """The steps without what manifests have as well."""
    return {name: step._replace(digest=None, job=None) for name, step in steps.items()}


def shortened(message: str, length: int) -> str:
    """The message, cut to `limit` characters."""
    return message if len(message) <= length else message[: length - 3] + "..."


def _encode(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


class _Malformed(Exception):
    """Not a report of the stager's: whoever can make a Job can make a message."""


def _checked(value: Any, kind: type[T], pattern: re.Pattern[str] | None = None) -> T:
    if type(value) is not kind or (pattern is not None and not pattern.fullmatch(str(value))):
        raise _Malformed
    return value


def _reportable(value: Any) -> bool:
    """Whether a status can hold a fact's value."""
    match value:
        case bool() | int():
            return abs(value) < 2**63
        case float():
            return math.isfinite(value)
        case str():
            return not any("\ud800" <= one <= "\udfff" for one in value)
    return False


def _step(document: Any) -> PublishedStep:
    found = _checked(document, dict)
    digest, job = found.get("digest"), found.get("job")
    facts, missing = _checked(found.get("facts", {}), dict), _checked(found.get("missing", []), list)
    if not all(_FACT.fullmatch(name) and _reportable(value) for name, value in facts.items()):
        raise _Malformed
    return PublishedStep(
        None if digest is None else _checked(digest, str, _SHA256),
        facts,
        [_checked(one, str, _PRODUCT) for one in missing],
        None if job is None else _checked(job, str, _NAME),
    )


def _steps(document: dict[str, Any], key: str) -> dict[str, PublishedStep]:
    return {name: _step(step) for name, step in _checked(document.get(key, {}), dict).items()}


def parse_problem(text: str) -> Problem | None:
    """The problem in a termination message; None if there is none."""
    error = _document(text).get("error")
    try:
        return Problem(*(_checked(_checked(error, dict).get(key), str) for key in ("step", "reason", "message")))
    except _Malformed:
        return None


def parse_staged_in(text: str) -> StagedIn | None:
    """Stage-in's report in a termination message; None if there is none."""
    document = _document(text)
    try:
        inputs = _checked(document.get("inputs"), dict)
        return StagedIn({name: _checked(one, str, _SHA256) for name, one in inputs.items()}, _steps(document, "reused"))
    except _Malformed:
        return None


def parse_published(text: str) -> Published | None:
    """Publish's report in a termination message; None if there is none."""
    document = _document(text)
    try:
        steps = _checked(document.get("steps"), dict)
        failed = {
            name: Withheld(_checked(_checked(one, dict).get("reason"), str), _checked(one.get("message"), str))
            for name, one in _checked(document.get("failed", {}), dict).items()
        }
        return Published({name: _step(step) for name, step in steps.items()}, failed)
    except _Malformed:
        return None
