"""Jobs that the API server refused: from its error to what the plan knows, and back to an error for the queue."""

from collections.abc import Sequence

from plato_sas.controller.kube.client import ApiError
from plato_sas.plan.refusal import Refusal


def refusal(step: str, error: ApiError) -> Refusal:
    """The refusal of a Job that begins with `step`. Raises the error where the API server did not judge."""
    if not error.refused:
        raise error
    return Refusal(step, str(error), error.invalid)


def raise_temporary(refusals: Sequence[Refusal]) -> None:
    """Raise ApiError if any of the Jobs may be accepted later, so that the queue tries again."""
    if not all(one.permanent for one in refusals):
        raise ApiError(403, "; ".join(one.message for one in refusals))
