"""Kubernetes Events, which `kubectl describe` shows below the status of a star or a catalogue."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from plato_sas.api import (
    API_VERSION,
    CatalogueState,
    Condition,
    Document,
    StarCatalogue,
    StarCatalogueStatus,
    StarProcessing,
    StarProcessingStatus,
    StarState,
    StepState,
)
from plato_sas.controller.kube.client import ApiError, KubeClient
from plato_sas.controller.kube.resources import EVENT
from plato_sas.jobs.names import MANAGER
from plato_sas.plan.conditions import ACCEPTED, COMPLETE

logger = logging.getLogger(__name__)

_MAX_NOTE = 1000


@dataclass(frozen=True)
class Note:
    """One Event to be written."""

    type: str  # Normal or Warning
    reason: str
    message: str


def notes(old: StarProcessingStatus, new: StarProcessingStatus) -> Iterator[Note]:
    """The changes between two statuses that deserve an Event."""
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
    # A success is visible in the status: Events for a quarter of a million stars would be one write in eight.
    if new.state is StarState.REJECTED:
        yield Note("Warning", "Rejected", condition.message if (condition := _condition(new, ACCEPTED)) else "")
    elif new.state in (StarState.CANCELLED, StarState.SUSPENDED):
        yield Note("Normal", new.state.value, "requested by spec.desiredState")


def catalogue_notes(old: StarCatalogueStatus, new: StarCatalogueStatus) -> Iterator[Note]:
    """As `notes`, for a catalogue. There are few of them, so a success deserves an Event too."""
    reason = condition.reason if (condition := _condition(new, COMPLETE)) else ""
    if sum((new.retries or {}).values()) > sum((old.retries or {}).values()):
        yield Note("Warning", "Retried", f"{reason}: {new.message or ''}")
    if new.state is old.state:
        return
    if new.state is CatalogueState.SUCCEEDED:
        rows = ", ".join(f"{table.name} {table.rows}" for table in new.tables)
        yield Note("Normal", "Succeeded", "; ".join(one for one in (f"rows: {rows}", new.message) if one))
    elif new.state is CatalogueState.FAILED:
        code = f" (exit code {new.exit_code})" if new.exit_code is not None else ""
        yield Note("Warning", "Failed", f"{reason}{code}: {new.message or ''}")
    elif new.state is CatalogueState.REJECTED:
        yield Note("Warning", "Rejected", new.message or "")


def _condition(status: StarProcessingStatus | StarCatalogueStatus, kind: str) -> Condition | None:
    return next((one for one in status.conditions if one.type == kind), None)


async def write_events(
    client: KubeClient, about: StarProcessing | StarCatalogue, noted: Iterable[Note], now: str
) -> None:
    """Write the Events; best effort."""
    for note in noted:
        try:
            await client.create(EVENT, event_body(about, note, now))
        except ApiError as error:
            fields = {"about": f"{about.kind} {about.metadata.name}", "reason": note.reason, "error": str(error)}
            logger.warning("Event not written", extra=fields)


def event_body(about: StarProcessing | StarCatalogue, note: Note, now: str) -> Document:
    """A core/v1 Event about a star or a catalogue."""
    metadata = about.metadata
    message = note.message if len(note.message) <= _MAX_NOTE else note.message[: _MAX_NOTE - 3] + "..."
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{metadata.name[:50].rstrip('-.')}."},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": about.kind,
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
