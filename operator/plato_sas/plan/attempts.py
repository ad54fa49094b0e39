"""What observed attempts mean for the steps: recorded once, retried within their class's budget."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from plato_sas.api import Facts, StepState, StepStatus
from plato_sas.jobs.outcome import Attempt, AttemptState, Failure, FailureClass
from plato_sas.plan.graph import Graph, GraphStep
from plato_sas.plan.stages import can_grow

# Retries that the module is not to blame for, and the first pause before one of each class (seconds).
INFRASTRUCTURE_RETRIES = 5
_FIRST_PAUSE = {
    FailureClass.TEMPORARY: 10.0,
    FailureClass.INFRASTRUCTURE: 2.0,
    FailureClass.OUT_OF_MEMORY: 0.0,
}
_LONGEST_PAUSE = 300.0
POD_EXPECTED_SECONDS = 30.0  # a Job controller that is not hindered makes its pod sooner
MAX_MESSAGE = 1024


@dataclass
class Ledger:
    """The steps' states while attempts are folded in."""

    steps: dict[str, StepStatus]
    facts: dict[str, Facts]
    inputs: dict[str, str]
    recorded: list[Attempt] = field(default_factory=list)  # finished, and in the status already: may go
    stray: list[Attempt] = field(default_factory=list)  # active, though their step is final


def fold(ledger: Ledger, graph: Graph, attempts: tuple[Attempt, ...], now: str) -> None:
    """Bring the observed Jobs into the ledger."""
    for attempt in sorted(attempts, key=lambda one: one.number):
        for name in attempt.steps:
            if name not in ledger.steps:
                continue
            if _is_recorded(ledger.steps[name], attempt):
                (ledger.stray if attempt.state is AttemptState.ACTIVE else ledger.recorded).append(attempt)
            else:
                _record(ledger, graph.step(name), attempt, now)
    present = {(name, attempt.number) for attempt in attempts for name in attempt.steps}
    for name, step in ledger.steps.items():
        if step.state is StepState.RUNNING and (name, step.attempt) not in present:
            lost = Failure(FailureClass.INFRASTRUCTURE, "JobLost", "the Job was deleted", name)
            ledger.steps[name] = _after_failure(graph.step(name), step, lost, now)


def _is_recorded(step: StepStatus, attempt: Attempt) -> bool:
    if step.state.final or attempt.number < step.attempt:
        return True
    # Pending with this very number: the failure was recorded and the next attempt has not begun.
    return step.state is StepState.PENDING and attempt.number == step.attempt


def _record(ledger: Ledger, step: GraphStep, attempt: Attempt, now: str) -> None:
    status = ledger.steps[step.name]
    waiting = attempt.waiting or _without_pod(attempt, now)
    running = status.model_copy(
        update={
            "state": StepState.RUNNING,
            "attempt": attempt.number,
            "reason": waiting[0][:64] if waiting else None,
            "message": waiting[1][-MAX_MESSAGE:] if waiting else None,
            "started_at": attempt.started_at or status.started_at or now,
            "finished_at": None,
            "exit_code": None,
        }
    )
    if attempt.state is AttemptState.ACTIVE:
        ledger.steps[step.name] = running
        return
    ledger.inputs.update(attempt.inputs)
    finished_at = attempt.finished_at or now
    if attempt.failure is not None:
        ledger.steps[step.name] = _after_failure(step, running, attempt.failure, finished_at)
        return
    published = attempt.published[step.name]
    ledger.steps[step.name] = running.model_copy(
        update={
            "state": StepState.SUCCEEDED,
            "exit_code": 0,
            "digest": published.digest,
            "missing": list(published.missing) or None,
            "finished_at": finished_at,
        }
    )
    if published.facts:
        ledger.facts[step.name] = dict(published.facts)


def _without_pod(attempt: Attempt, now: str) -> tuple[str, str] | None:
    """What to say of a Job that has made no pod for longer than that takes: a quota or a policy forbids it."""
    if not no_pod_yet(attempt) or attempt.started_at is None:
        return None
    if (parse_time(now) - parse_time(attempt.started_at)).total_seconds() < POD_EXPECTED_SECONDS:
        return None
    return "PodNotCreated", f"Job {attempt.job} has made no pod; `kubectl describe job {attempt.job}` says why"


def no_pod_yet(attempt: Attempt) -> bool:
    return attempt.state is AttemptState.ACTIVE and not attempt.has_pod


def _after_failure(step: GraphStep, status: StepStatus, failure: Failure, at: str) -> StepStatus:
    retries = dict(status.retries or {})
    again = _may_retry(step, status, failure, retries)
    if again:
        retries[failure.kind] = retries.get(failure.kind, 0) + 1
    return status.model_copy(
        update={
            "state": StepState.PENDING if again else StepState.FAILED,
            "reason": failure.reason[:64],
            # The end of a log says more than its beginning.
            "message": failure.message[-MAX_MESSAGE:] or None,
            "exit_code": failure.exit_code,
            "retries": retries or None,
            "finished_at": failure.finished_at or at,
        }
    )


def _may_retry(step: GraphStep, status: StepStatus, failure: Failure, retries: Mapping[str, int]) -> bool:
    match failure.kind:
        case FailureClass.SCIENCE:
            return False
        case FailureClass.TEMPORARY:
            return retries.get(failure.kind, 0) < step.module.retry.temporary
        case FailureClass.OUT_OF_MEMORY:
            return can_grow(step, status)
        case FailureClass.INFRASTRUCTURE:
            return retries.get(failure.kind, 0) < INFRASTRUCTURE_RETRIES


def pause_left(status: StepStatus, now: str) -> float:
    """Seconds until a step's next attempt may begin; 0 if it may now. The pause doubles with each retry."""
    if not status.retries or status.finished_at is None:
        return 0.0
    pauses = [
        min(_LONGEST_PAUSE, _FIRST_PAUSE[FailureClass(kind)] * 2 ** (count - 1))
        for kind, count in status.retries.items()
    ]
    due = parse_time(status.finished_at) + timedelta(seconds=max(pauses))
    return max(0.0, (due - parse_time(now)).total_seconds())


def parse_time(text: str) -> datetime:
    """A Kubernetes timestamp (RFC 3339)."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
