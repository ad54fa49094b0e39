"""Jobs that the API server refused: from its error to a Refusal for the plan, and back to an error for the queue."""

from collections.abc import Sequence

from plato_sas.controller.kube.client import ApiError
from plato_sas.plan.refusal import Refusal


def refusal(step: str, error: ApiError) -> Refusal:
    """The refusal of a Job whose first step is `step`. Raises the error itself if the Job was not judged."""
    if not error.refused:
        raise error
    return Refusal(step, str(error), error.invalid)


def raise_temporary(refusals: Sequence[Refusal]) -> None:
    """Raise ApiError if any of the Jobs may be accepted later, so that the queue retries."""
    if not all(one.permanent for one in refusals):
        raise ApiError(403, "; ".join(one.message for one in refusals))
