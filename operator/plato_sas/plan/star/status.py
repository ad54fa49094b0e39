"""The status of a star, derived from its steps."""

from collections.abc import Sequence
from dataclasses import dataclass

from plato_sas.api import (
    DesiredState,
    StarProcessing,
    StarProcessingStatus,
    StarState,
    StepState,
    StepStatus,
)
from plato_sas.plan.conditions import ACCEPTED, Standing, with_condition, with_standing
from plato_sas.plan.messages import beginning, ending, size
from plato_sas.plan.star.control import CANCELLED, DEADLINE_EXCEEDED
from plato_sas.plan.star.rerun import UPSTREAM_FAILED

PROGRESSING = "Progressing"
JOB_REFUSED = "JobRefused"
_MAX_MESSAGE = 2048
_MAX_STEP = 64
# Bytes for all steps' messages together, so that a status with thirty failed steps stays under 16 KiB.
_MAX_MESSAGES = 5000
_STANDINGS = {
    StarState.PENDING: Standing.UNDERWAY,
    StarState.RUNNING: Standing.UNDERWAY,
    StarState.SUSPENDED: Standing.SUSPENDED,
    StarState.SUCCEEDED: Standing.SUCCEEDED,
    StarState.FAILED: Standing.ENDED,
    StarState.CANCELLED: Standing.ENDED,
    StarState.REJECTED: Standing.ENDED,
}


def rejected(processing: StarProcessing, reason: str, problems: Sequence[str], now: str) -> StarProcessingStatus:
    """The status of a star whose spec cannot run."""
    old = processing.status
    message = beginning("; ".join(problems), _MAX_MESSAGE)
    generation = processing.metadata.generation
    conditions = with_condition(old.conditions, generation, ACCEPTED, "False", reason, message, now)
    conditions = with_standing(conditions, generation, Standing.ENDED, "Rejected", message, now)
    return old.model_copy(
        update={
            "state": StarState.REJECTED,
            "observed_generation": processing.metadata.generation,
            "conditions": conditions,
        }
    )


def cancelled(processing: StarProcessing, now: str) -> StarProcessingStatus:
    """The status of a star that is cancelled although its graph cannot be had."""
    reason, message = CANCELLED
    update = {"state": StepState.CANCELLED, "reason": reason, "message": message, "finished_at": now}
    steps = [one if one.state.final else one.model_copy(update=update) for one in processing.status.steps]
    conditions = with_standing(
        processing.status.conditions, processing.metadata.generation, Standing.ENDED, reason, message, now
    )
    return processing.status.model_copy(
        update={
            "state": StarState.CANCELLED,
            "observed_generation": processing.metadata.generation,
            "steps": steps,
            "conditions": conditions,
            "finished_at": processing.status.finished_at or now,
        }
    )


@dataclass(frozen=True)
class Circumstances:
    """What the star's state depends on besides its steps.

    `problems`: of its spec. `waiting`: reason and message of what it waits for. `busy`: a Job of it is active.
    """

    problems: tuple[str, ...] = ()
    waiting: tuple[str, str] | None = None
    busy: bool = False


def summarise(
    processing: StarProcessing,
    status: StarProcessingStatus,
    steps: Sequence[StepStatus],
    circumstances: Circumstances,
    now: str,
) -> StarProcessingStatus:
    """Complete the status with everything that follows from the steps."""
    problems, waiting = circumstances.problems, circumstances.waiting
    steps = _bounded(steps)
    state = _state(processing.spec.desired_state, steps, circumstances)
    # Prefer the running step: in a fused stage many others are Publishing.
    wanted = (StepState.FAILED,) if state is StarState.FAILED else (StepState.RUNNING, StepState.PUBLISHING)
    shown = next(filter(None, ([step.name for step in steps if step.state is one] for one in wanted)), [])
    done = sum(map(_done, steps))
    generation = processing.metadata.generation
    reason, message = _explain(state, steps, problems, waiting)
    if problems:
        text = beginning("; ".join(problems), _MAX_MESSAGE)
        conditions = with_condition(status.conditions, generation, ACCEPTED, "False", "SpecInvalid", text, now)
    else:
        conditions = with_condition(status.conditions, generation, ACCEPTED, "True", "Accepted", "", now)
    conditions = with_standing(conditions, generation, _STANDINGS[state], reason, message, now)
    begun = [step.started_at for step in steps if step.started_at]
    return status.model_copy(
        update={
            "state": state,
            "observed_generation": processing.metadata.generation,
            "steps": steps,
            "progress": f"{done}/{len(steps)}",
            "step": beginning(",".join(shown), _MAX_STEP) or None,
            "conditions": conditions,
            "started_at": status.started_at or (min(begun) if begun else None),
            "finished_at": (status.finished_at or now) if state.at_rest else None,
        }
    )


def _done(step: StepStatus) -> bool:
    """Whether the step's products are there or about to be, or are not wanted."""
    left_out = step.state is StepState.SKIPPED and step.reason != UPSTREAM_FAILED
    return step.state.published or step.state is StepState.PUBLISHING or left_out


def _bounded(steps: Sequence[StepStatus]) -> list[StepStatus]:
    """The steps, with messages cut to their end so that all fit together."""
    with_message = [step for step in steps if step.message]
    if sum(size(step.message or "") for step in with_message) <= _MAX_MESSAGES:
        return list(steps)
    share = _MAX_MESSAGES // len(with_message)
    return [
        step.model_copy(update={"message": ending(step.message, share)}) if step.message else step for step in steps
    ]


def _state(desired: DesiredState, steps: Sequence[StepStatus], circumstances: Circumstances) -> StarState:
    states = {step.state for step in steps}
    if all(state.final for state in states):
        if StepState.CANCELLED in states:
            late = any(step.reason == DEADLINE_EXCEEDED for step in steps if step.state is StepState.CANCELLED)
            return StarState.FAILED if late else StarState.CANCELLED
        return StarState.FAILED if StepState.FAILED in states else StarState.SUCCEEDED
    if circumstances.busy:
        return StarState.RUNNING
    if desired is DesiredState.SUSPEND:
        return StarState.SUSPENDED
    if circumstances.problems and not any(step.attempt for step in steps):
        return StarState.REJECTED
    return StarState.RUNNING if any(step.attempt for step in steps) else StarState.PENDING


def _explain(
    state: StarState, steps: Sequence[StepStatus], problems: Sequence[str], waiting: tuple[str, str] | None
) -> tuple[str, str]:
    match state:
        case StarState.SUCCEEDED:
            return "AllStepsFinished", ""
        case StarState.FAILED:
            late = [step for step in steps if step.state is StepState.CANCELLED]
            if late:
                return DEADLINE_EXCEEDED, late[0].message or ""
            failed = [step for step in steps if step.state is StepState.FAILED]
            texts = [f"{step.name}: {step.reason}: {step.message or ''}".strip() for step in failed]
            return "StepFailed", beginning("; ".join(texts), _MAX_MESSAGE)
        case StarState.CANCELLED:
            return CANCELLED
        case StarState.SUSPENDED:
            return "Suspended", "spec.desiredState is Suspend"
        case StarState.REJECTED:
            return "Rejected", beginning("; ".join(problems), _MAX_MESSAGE)
        case _:
            if waiting is not None:
                return waiting
            held = [step for step in steps if step.reason and not step.state.final]
            texts = [f"{step.name}: {step.reason}: {step.message or ''}".strip() for step in held]
            return _held_up_by(steps) or PROGRESSING, beginning("; ".join(texts), _MAX_MESSAGE)


def _held_up_by(steps: Sequence[StepStatus]) -> str | None:
    """The reason why nothing of the star moves: its running steps are held up, and so is what could start."""
    moving = [step for step in steps if step.state in (StepState.RUNNING, StepState.PUBLISHING)]
    held = [step.reason for step in moving if step.state is StepState.RUNNING and step.reason]
    if len(held) < len(moving):
        return None
    refused = [step.reason for step in steps if step.state is StepState.PENDING and step.reason == JOB_REFUSED]
    return next(iter([*held, *refused]), None)
