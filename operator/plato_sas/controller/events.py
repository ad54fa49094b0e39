"""Kubernetes Events: what `kubectl describe starprocessing` tells below the status."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from plato_sas.api import API_VERSION, StarProcessing, StarProcessingStatus, StarState, StepState
from plato_sas.jobs.names import MANAGER

_MAX_NOTE = 1000


@dataclass(frozen=True)
class Note:
    """One event to be told."""

    type: str  # Normal or Warning
    reason: str
    message: str


def notes(old: StarProcessingStatus, new: StarProcessingStatus) -> Iterator[Note]:
    """What changed between two statuses and is worth an event."""
    before = {step.name: step for step in old.steps}
    for step in new.steps:
        known = before.get(step.name)
        retried = step.retries and step.retries != (known.retries if known else None)
        if step.state is StepState.FAILED and (known is None or known.state is not StepState.FAILED):
            code = f" (exit code {step.exit_code})" if step.exit_code is not None else ""
            yield Note("Warning", "StepFailed", f"{step.name}: {step.reason}{code}: {step.message or ''}")
        elif retried:
            yield Note("Warning", "StepRetried", f"{step.name}: {step.reason}: {step.message or ''}")
    if new.state is old.state:
        return
    # A star that succeeds is told by its status: an Event for each of a quarter of a million would be a write in eight.
    if new.state is StarState.REJECTED:
        accepted = next((one for one in new.conditions if one.type == "Accepted"), None)
        yield Note("Warning", "Rejected", accepted.message if accepted else "")
    elif new.state in (StarState.CANCELLED, StarState.SUSPENDED):
        yield Note("Normal", new.state.value, "spec.desiredState asks for it")


def event_body(processing: StarProcessing, note: Note, now: str) -> dict[str, Any]:
    """A core/v1 Event about a star."""
    metadata = processing.metadata
    message = note.message if len(note.message) <= _MAX_NOTE else note.message[: _MAX_NOTE - 3] + "..."
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{metadata.name[:50].rstrip('-.')}."},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": "StarProcessing",
            "name": metadata.name,
            "namespace": metadata.namespace,
            "uid": metadata.uid,
        },
        "type": note.type,
        "reason": note.reason,
        "message": message,
        "source": {"component": MANAGER},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
