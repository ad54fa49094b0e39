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
    StepStatus,
)
from plato_sas.controller.kube.client import ApiError, KubeClient
from plato_sas.controller.kube.resources import EVENT
from plato_sas.jobs.names import MANAGER
from plato_sas.plan.conditions import ACCEPTED, COMPLETE
from plato_sas.plan.star.outcomes import AWAITING_PUBLICATION

logger = logging.getLogger(__name__)

_MAX_NOTE = 1000


@dataclass(frozen=True)
class Note:
    """One Event to be written."""

    type: str  # Normal or Warning
    reason: str
    message: str


def notes(old: StarProcessingStatus, new: StarProcessingStatus, normal: bool = False) -> Iterator[Note]:
    """The changes between two statuses that deserve an Event; `normal`: the ordinary ones too."""
    if normal:
        yield from _course(old, new)
    before = {step.name: step for step in old.steps}
    for step in new.steps:
        known = before.get(step.name)
        retried = step.retries and step.retries != (known.retries if known else None)
        if step.state is StepState.FAILED and (known is None or known.state is not StepState.FAILED):
            code = f" (exit code {step.exit_code})" if step.exit_code is not None else ""
            yield Note("Warning", "StepFailed", f"{step.name}: {step.reason}{code}: {step.message or ''}")
        elif retried:
            yield Note("Warning", "StepRetried", f"{step.name}: {step.reason}: {step.message or ''}")
        elif _waits(step) and not (known is not None and _waits(known) and known.reason == step.reason):
            yield Note("Warning", "StepWaits", f"{step.name}: {step.reason}: {step.message or ''}")
    if new.state is old.state:
        return
    if new.state is StarState.REJECTED:
        yield Note("Warning", "Rejected", condition.message if (condition := _condition(new, ACCEPTED)) else "")
    elif new.state in (StarState.CANCELLED, StarState.SUSPENDED):
        yield Note("Normal", new.state.value, "requested by spec.desiredState")


def _waits(step: StepStatus) -> bool:
    return step.state is StepState.RUNNING and step.reason is not None and step.reason != AWAITING_PUBLICATION


def _course(old: StarProcessingStatus, new: StarProcessingStatus) -> Iterator[Note]:
    """The ordinary course of a star. For a quarter of a million stars it would be three writes in ten."""
    if new.revision is not None and new.revision != old.revision:
        yield Note("Normal", "Accepted", f"runs with revision {new.revision}")
    if new.started_at is not None and new.started_at != old.started_at:
        yield Note(
            "Normal", "Started", f"rerun {new.rerun} taken up" if new.rerun != old.rerun else "first step started"
        )
    if new.state is not old.state and new.state in (StarState.SUCCEEDED, StarState.FAILED):
        yield Note("Normal", "Finished", f"{new.state.value}, {new.progress} steps")


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
    # The end of a log says more than its beginning.
    message = note.message if len(note.message) <= _MAX_NOTE else "..." + note.message[3 - _MAX_NOTE :]
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
