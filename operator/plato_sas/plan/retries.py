"""Whether a failed step is retried, when, and with how much memory. Each failure class has its own limit."""

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from plato_sas.api import StepState, StepStatus, amount, parse_time
from plato_sas.jobs.failure import Failure, FailureClass
from plato_sas.plan.graph.graph import GraphStep
from plato_sas.plan.messages import MAX_MESSAGE

# The limit for failures that are not the fault of the module, and the first pause per class (seconds).
INFRASTRUCTURE_RETRIES = 5
_FIRST_PAUSE = {
    FailureClass.TEMPORARY: 10.0,
    FailureClass.INFRASTRUCTURE: 2.0,
    FailureClass.OUT_OF_MEMORY: 0.0,
}
_LONGEST_PAUSE = 300.0
_MEBI = 2**20


def after_failure(
    step: GraphStep, status: StepStatus, failure: Failure, at: str, again: StepState = StepState.PENDING
) -> StepStatus:
    """The step's status after a failed attempt: `again` if the class has retries left, else Failed."""
    retries = dict(status.retries or {})
    may = _may_retry(step, status, failure)
    if may:
        retries[failure.kind] = retries.get(failure.kind, 0) + 1
    return status.model_copy(
        update={
            "state": again if may else StepState.FAILED,
            "reason": failure.reason[:64],
            # The end of a log is more useful than its beginning.
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


def memory(step: GraphStep, status: StepStatus) -> str:
    """The next attempt's memory: doubled for each attempt that ran out of memory, up to the module's cap."""
    resources = step.module.resources
    grown = (status.retries or {}).get(FailureClass.OUT_OF_MEMORY, 0)
    if not grown:
        return resources.memory
    cap = amount(resources.memory_cap or resources.memory)
    return f"{math.ceil(min(cap, amount(resources.memory) * 2**grown) / _MEBI)}Mi"


def can_grow(step: GraphStep, status: StepStatus) -> bool:
    """Whether the next attempt may have more memory."""
    cap = step.module.resources.memory_cap
    return cap is not None and amount(memory(step, status)) < amount(cap)


class Retried(Protocol):
    """The status of something that is retried: a step or a catalogue."""

    @property
    def retries(self) -> Mapping[str, int] | None: ...

    @property
    def finished_at(self) -> str | None: ...


def pause_left(status: Retried, now: str) -> float:
    """Seconds until the next attempt may begin; 0 if it may now. The pause doubles with each retry."""
    if not status.retries or status.finished_at is None:
        return 0.0
    pauses = [
        min(_LONGEST_PAUSE, _FIRST_PAUSE[FailureClass(kind)] * 2 ** (count - 1))
        for kind, count in status.retries.items()
    ]
    due = parse_time(status.finished_at) + timedelta(seconds=max(pauses))
    return max(0.0, (due - parse_time(now)).total_seconds())
