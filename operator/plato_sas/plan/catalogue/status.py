"""The conditions of a catalogue."""

from typing import Literal

from plato_sas.api import CatalogueState, StarCatalogue, StarCatalogueStatus
from plato_sas.plan.conditions import ACCEPTED, Standing, with_condition, with_standing

_STANDINGS = {
    CatalogueState.PENDING: Standing.UNDERWAY,
    CatalogueState.RUNNING: Standing.UNDERWAY,
    CatalogueState.SUCCEEDED: Standing.SUCCEEDED,
    CatalogueState.FAILED: Standing.ENDED,
    CatalogueState.REJECTED: Standing.ENDED,
}


def with_conditions(
    status: StarCatalogueStatus, catalogue: StarCatalogue, reason: str, accepted: tuple[bool, str] | None, now: str
) -> StarCatalogueStatus:
    """Set the conditions. `accepted`: whether the spec is valid, and the reason; None if it was not checked now."""
    conditions, text, generation = status.conditions, status.message or "", catalogue.metadata.generation
    if accepted is not None:
        sound, why = accepted
        verdict: Literal["True", "False"] = "True" if sound else "False"
        conditions = with_condition(conditions, generation, ACCEPTED, verdict, why, "" if sound else text, now)
    conditions = with_standing(conditions, generation, _STANDINGS[status.state], reason, text, now)
    return status.model_copy(update={"conditions": conditions, "observed_generation": generation})
