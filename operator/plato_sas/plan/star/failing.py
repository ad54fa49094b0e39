"""Whether a failed step is tried again: each class of failure has its own budget."""

from plato_sas.api import MAX_MESSAGE, StepState, StepStatus
from plato_sas.jobs.failure import Failure, FailureClass
from plato_sas.plan.graph.graph import GraphStep
from plato_sas.plan.retries import INFRASTRUCTURE_RETRIES
from plato_sas.plan.star.stages import can_grow


def after_failure(
    step: GraphStep, status: StepStatus, failure: Failure, at: str, again: StepState = StepState.PENDING
) -> StepStatus:
    """The step's status after a failed attempt: `again` if its class has budget left, else Failed."""
    retries = dict(status.retries or {})
    may = _may_retry(step, status, failure)
    if may:
        retries[failure.kind] = retries.get(failure.kind, 0) + 1
    return status.model_copy(
        update={
            "state": again if may else StepState.FAILED,
            "reason": failure.reason[:64],
            # The end of a log says more than its beginning.
            "message": failure.message[-MAX_MESSAGE:] or None,
            "exit_code": failure.exit_code,
            "retries": retries or None,
            "finished_at": failure.finished_at or at,
        }
    )


def _may_retry(step: GraphStep, status: StepStatus, failure: Failure) -> bool:
    made = (status.retries or {}).get(failure.kind, 0)
    match failure.kind:
        case FailureClass.SCIENCE:
            return False
        case FailureClass.TEMPORARY:
            return made < step.module.retry.temporary
        case FailureClass.OUT_OF_MEMORY:
            return can_grow(step, status)
        case FailureClass.INFRASTRUCTURE:
            return made < INFRASTRUCTURE_RETRIES
