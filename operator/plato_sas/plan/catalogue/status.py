"""The conditions of a catalogue."""

from typing import Literal

from plato_sas.api import CatalogueState, StarCatalogue, StarCatalogueStatus
from plato_sas.plan.conditions import ACCEPTED, COMPLETE, with_condition


def with_conditions(
    status: StarCatalogueStatus, catalogue: StarCatalogue, reason: str, accepted: tuple[bool, str] | None, now: str
) -> StarCatalogueStatus:
    """Set both conditions. `accepted`: whether the spec is valid, and the reason; None if it was not checked now."""
    conditions, text = status.conditions, status.message or ""
    if accepted is not None:
        sound, why = accepted
        verdict: Literal["True", "False"] = "True" if sound else "False"
        conditions = with_condition(conditions, catalogue, ACCEPTED, verdict, why, "" if sound else text, now)
    complete: Literal["True", "False"] = "True" if status.state is CatalogueState.SUCCEEDED else "False"
    conditions = with_condition(conditions, catalogue, COMPLETE, complete, reason, text, now)
    return status.model_copy(update={"conditions": conditions, "observed_generation": catalogue.metadata.generation})
