"""What it means for a star that the API server refused its Job."""

from collections.abc import Iterable
from dataclasses import dataclass

from plato_sas.api import StarProcessing, StarProcessingStatus, StepState
from plato_sas.plan.status import summarise


@dataclass(frozen=True)
class Refusal:
    """A Job that was not created. `final`: the same Job would be refused again, whatever changes around it."""

    step: str
    message: str
    final: bool


def with_refusals(
    processing: StarProcessing, status: StarProcessingStatus, refusals: Iterable[Refusal], now: str
) -> StarProcessingStatus:
    """The decided status corrected for what was refused: the step has failed, or has yet to begin."""
    by_step = {one.step: one for one in refusals}
    if not by_step:
        return status
    steps = []
    for step in status.steps:
        refusal = by_step.get(step.name)
        if refusal is not None:
            update = {
                "state": StepState.FAILED if refusal.final else StepState.PENDING,
                "attempt": step.attempt if refusal.final else step.attempt - 1,
                "reason": "JobRefused",
                "message": refusal.message[-1024:],
                "started_at": None,
                "finished_at": now if refusal.final else None,
            }
            step = step.model_copy(update=update)
        steps.append(step)
    return summarise(processing, status, steps, [], None, now)
