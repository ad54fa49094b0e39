"""Conditions that follow the Kubernetes API conventions."""

from collections.abc import Sequence
from typing import Literal

from plato_sas.api import Condition, StarCatalogue, StarProcessing

ACCEPTED = "Accepted"
COMPLETE = "Complete"


def with_condition(
    conditions: Sequence[Condition],
    about: StarProcessing | StarCatalogue,
    kind: str,
    status: Literal["True", "False"],
    reason: str,
    message: str,
    now: str,
) -> list[Condition]:
    """Set one condition; its transition time changes only with its status."""
    old = next((one for one in conditions if one.type == kind), None)
    since = old.last_transition_time if old is not None and old.status == status else now
    new = Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        observed_generation=about.metadata.generation,
        last_transition_time=since,
    )
    return [*(one for one in conditions if one.type != kind), new]
