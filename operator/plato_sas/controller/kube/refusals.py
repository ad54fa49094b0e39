"""Jobs that the API server refused: from its error to a Refusal for the plan, and back to an error for the queue."""

from collections.abc import Sequence

from plato_sas.controller.kube.client import ApiError
from plato_sas.plan.refusal import Refusal
from plato_sas.text import printable


def refusal(step: str, error: ApiError) -> Refusal:
    """The refusal of a Job whose first step is `step`. Raises the error itself if the API server did not answer."""
    if not (error.refused or error.status >= 500):
        raise error
    return Refusal(step, printable(str(error)), error.invalid)


class JobsRefused(ApiError):
    """Jobs that may be accepted later; the status tells of them already."""


def raise_temporary(refusals: Sequence[Refusal]) -> None:
    """Raise JobsRefused if any of the Jobs may be accepted later, so that the queue retries."""
    if not all(one.permanent for one in refusals):
        raise JobsRefused(403, "; ".join(one.message for one in refusals))
