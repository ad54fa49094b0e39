"""What the stager tells the operator: one JSON document in the container's termination message (4 KiB at most)."""

import json
from dataclasses import dataclass, field
from typing import Any

LIMIT = 4096


class Problem(Exception):
    """Why a stage cannot start or its products cannot be published. `step` and `reason` reach the status."""

    def __init__(self, step: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.step = step
        self.reason = reason  # CamelCase
        self.message = message

    def to_json(self) -> str:
        text = self.message if len(self.message) <= 1000 else self.message[:997] + "..."
        return json.dumps({"error": {"step": self.step, "reason": self.reason, "message": text}})


@dataclass(frozen=True)
class StagedIn:
    """Stage-in's report: SHA-256 of every external product that was read, by name."""

    inputs: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps({"inputs": self.inputs}, separators=(",", ":"))


@dataclass(frozen=True)
class PublishedStep:
    """One published step: digest over its outputs, facts, optional outputs that were not written."""

    digest: str
    facts: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Published:
    """Publish's report, by step."""

    steps: dict[str, PublishedStep] = field(default_factory=dict)

    def to_json(self) -> str:
        steps = {name: step.__dict__ for name, step in self.steps.items()}
        return json.dumps({"steps": steps}, separators=(",", ":"))


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def parse_problem(text: str) -> Problem | None:
    """The problem in a termination message, if there is one."""
    error = _document(text).get("error")
    return Problem(error["step"], error["reason"], error["message"]) if isinstance(error, dict) else None


def parse_staged_in(text: str) -> StagedIn | None:
    inputs = _document(text).get("inputs")
    return StagedIn(inputs) if isinstance(inputs, dict) else None


def parse_published(text: str) -> Published | None:
    steps = _document(text).get("steps")
    if not isinstance(steps, dict):
        return None
    return Published({name: PublishedStep(**step) for name, step in steps.items()})
