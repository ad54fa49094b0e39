"""What a refused Job means for its catalogue."""

from collections.abc import Iterable

from plato_sas.api import CatalogueState, StarCatalogue, StarCatalogueStatus
from plato_sas.plan.catalogue.status import with_conditions
from plato_sas.plan.messages import MAX_MESSAGE
from plato_sas.plan.refusal import Refusal


def with_refusals(
    catalogue: StarCatalogue, status: StarCatalogueStatus, refusals: Iterable[Refusal], now: str
) -> StarCatalogueStatus:
    """Correct the decided status for a refused Job: the attempt has failed, or has yet to begin."""
    for refusal in refusals:  # at most one: a catalogue has one Job at a time
        update = {
            "state": CatalogueState.FAILED if refusal.permanent else CatalogueState.PENDING,
            "message": refusal.message[-MAX_MESSAGE:],
            "exit_code": None,
            "finished_at": now if refusal.permanent else None,
        }
        # From the stored status: the decided attempt never began.
        before = catalogue.status.model_copy(update=update)
        return with_conditions(before, catalogue, "JobRefused", None, now)
    return status
