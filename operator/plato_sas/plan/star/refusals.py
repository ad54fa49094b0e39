"""What refused Jobs mean for their star."""

from collections.abc import Iterable

from plato_sas.api import StarProcessing, StarProcessingStatus, StepState, StepStatus
from plato_sas.plan.messages import MAX_MESSAGE
from plato_sas.plan.refusal import Refusal
from plato_sas.plan.star.status import JOB_REFUSED, Circumstances, summarise


def with_refusals(
    processing: StarProcessing, status: StarProcessingStatus, refusals: Iterable[Refusal], now: str
) -> StarProcessingStatus:
    """Correct the decided status for refused Jobs: the step has failed, or has yet to begin."""
    by_step = {one.step: one for one in refusals}
    if not by_step:
        return status
    steps = []
    for step in status.steps:
        refusal = by_step.get(step.name)
        steps.append(step if refusal is None else _refused(step, refusal, now))
    if not any(step.started_at for step in steps):
        status = status.model_copy(update={"started_at": None})
    busy = any(step.state is StepState.RUNNING for step in steps)
    return summarise(processing, status, steps, Circumstances(busy=busy), now)


def _refused(step: StepStatus, refusal: Refusal, now: str) -> StepStatus:
    update: dict[str, object] = {"reason": JOB_REFUSED, "message": refusal.message[-MAX_MESSAGE:]}
    if refusal.permanent:
        update |= {"state": StepState.FAILED, "finished_at": now}
    elif step.state is StepState.RUNNING:
        update |= {"state": StepState.PENDING, "attempt": step.attempt - 1, "job": None, "started_at": None}
    return step.model_copy(update=update)
