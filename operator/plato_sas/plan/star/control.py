"""Stop a star early: cancelled by its user, or past its deadline."""

from plato_sas.api import DesiredState, StarProcessing, StepState, seconds
from plato_sas.plan.star.ledger import Ledger
from plato_sas.plan.times import seconds_between

CANCELLED = ("Cancelled", "spec.desiredState is Cancel")
DEADLINE_EXCEEDED = "DeadlineExceeded"


def ends_now(processing: StarProcessing, now: str) -> tuple[str, str] | None:
    """Reason and message if the star must stop now; else None."""
    if processing.spec.desired_state is DesiredState.CANCEL:
        return CANCELLED
    left = deadline_left(processing, now)
    if left is not None and left <= 0:
        return DEADLINE_EXCEEDED, f"spec.deadline: the star was not finished within {processing.spec.deadline}"
    return None


def deadline_left(processing: StarProcessing, now: str) -> float | None:
    """Seconds until the star's deadline; None if it has none or has not started."""
    started = processing.status.started_at
    if processing.spec.deadline is None or started is None:
        return None
    return seconds(processing.spec.deadline) - seconds_between(started, now)


def end(ledger: Ledger, reason: str, message: str, now: str) -> None:
    """Cancel every step that is not final."""
    for name, step in ledger.steps.items():
        if not step.state.final:
            ledger.update(name, state=StepState.CANCELLED, reason=reason, message=message, finished_at=now)
