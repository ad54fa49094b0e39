"""Conditions that follow the Kubernetes API conventions, and that `kubectl wait`, Argo CD and Flux understand.

Accepted and Complete are always there. Failed, and the three that kstatus reads (Ready, Reconciling, Stalled,
https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md), follow from how the resource stands.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Literal

from plato_sas.api import Condition
from plato_sas.plan.messages import beginning

ACCEPTED = "Accepted"
COMPLETE = "Complete"
FAILED = "Failed"
READY = "Ready"
RECONCILING = "Reconciling"
STALLED = "Stalled"

# The operator failed on the resource, or the API server refuses what it asks for.
INTERNAL_ERROR = "InternalError"
REQUEST_FAILED = "RequestFailed"
# Complete has the whole message.
_SHORT_MESSAGE = 256


class Standing(Enum):
    """How a resource stands."""

    SUCCEEDED = auto()
    UNDERWAY = auto()  # it runs, or waits for something other than its user
    SUSPENDED = auto()  # it waits for its user
    ENDED = auto()  # at rest without success: failed, cancelled or rejected


def with_condition(
    conditions: Sequence[Condition],
    generation: int | None,
    kind: str,
    status: Literal["True", "False"],
    reason: str,
    message: str,
    now: str,
) -> list[Condition]:
    """Set one condition of a resource of this generation; its transition time changes only with its status."""
    old = next((one for one in conditions if one.type == kind), None)
    since = old.last_transition_time if old is not None and old.status == status else now
    new = Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        observed_generation=generation,
        last_transition_time=since,
    )
    return [*(one for one in conditions if one.type != kind), new]


def with_standing(
    conditions: Sequence[Condition], generation: int | None, standing: Standing, reason: str, message: str, now: str
) -> list[Condition]:
    """Set Complete and what follows from it. Failed, Reconciling and Stalled are there only while they hold."""
    done, short = standing is Standing.SUCCEEDED, beginning(message, _SHORT_MESSAGE)
    found = with_condition(conditions, generation, COMPLETE, "True" if done else "False", reason, message, now)
    found = with_condition(found, generation, READY, "True" if done else "False", reason, "", now)
    holding = {
        FAILED: standing is Standing.ENDED,
        RECONCILING: standing is Standing.UNDERWAY,
        STALLED: standing is Standing.ENDED,
    }
    for kind, holds in holding.items():
        if holds:
            found = with_condition(found, generation, kind, "True", reason, short if kind == STALLED else "", now)
        else:
            found = [one for one in found if one.type != kind]
    return found


def with_trouble(
    conditions: Sequence[Condition], generation: int | None, final: bool, reason: str, message: str, now: str
) -> list[Condition]:
    """Say that a reconciliation fails, which is tried again. What is final stays so."""
    found, short = list(conditions), beginning(message, _SHORT_MESSAGE)
    if not final:
        found = with_condition(found, generation, COMPLETE, "False", reason, message, now)
        found = with_condition(found, generation, READY, "False", reason, "", now)
        found = [one for one in found if one.type != RECONCILING]
    return with_condition(found, generation, STALLED, "True", reason, short, now)


def troubled(conditions: Sequence[Condition]) -> bool:
    """Whether the conditions still tell of a reconciliation that failed."""
    return any(one.type == STALLED and one.reason in (INTERNAL_ERROR, REQUEST_FAILED) for one in conditions)
