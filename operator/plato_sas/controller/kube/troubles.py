"""A reconciliation that fails is itself a state, which the resource's conditions tell."""

import hashlib
import logging
import traceback

from pydantic import ValidationError

from plato_sas.api import Condition, Document
from plato_sas.controller import metrics
from plato_sas.controller.kube.client import ApiError, KubeClient
from plato_sas.controller.kube.refusals import JobsRefused
from plato_sas.controller.kube.resources import Kind
from plato_sas.controller.kube.status import write_status
from plato_sas.plan.conditions import INTERNAL_ERROR, REQUEST_FAILED, with_trouble
from plato_sas.plan.messages import beginning
from plato_sas.text import printable

logger = logging.getLogger(__name__)

_FINAL = frozenset({"Succeeded", "Failed", "Cancelled"})
_MAX_MESSAGE = 512
# A request that fails once or twice is an everyday matter of the API server's.
_TOLD_AFTER = 3


class Troubles:
    """Writes the trouble of resources of one kind into their status, and clears nothing: the next success does."""

    def __init__(self, client: KubeClient, kind: Kind) -> None:
        self._client = client
        self._kind = kind
        self._failures: dict[str, int] = {}  # failed requests in a row, by name
        self._errors = metrics.RECONCILE_ERRORS.labels(kind.name)

    def over(self, name: str) -> None:
        """A reconciliation of the resource has ended well, or the resource is gone."""
        self._failures.pop(name, None)

    async def tell(self, name: str, stored: Document | None, error: Exception, now: str) -> Document | None:
        """Tell what went wrong with a resource; returns it as stored then, None if nothing was written."""
        if isinstance(error, JobsRefused):
            return None
        if isinstance(error, ApiError):
            self._failures[name] = self._failures.get(name, 0) + 1
            if error.status == 0 or self._failures[name] < _TOLD_AFTER:
                return None
            reason, message = REQUEST_FAILED, f"the API server refuses a request of the operator: {error}"
        else:
            self._errors.inc()
            reason, message = INTERNAL_ERROR, _with_id(error)
        if stored is None:
            return None
        try:
            return await write_status(self._client, self._kind, stored, _status(stored, reason, message, now))
        except ApiError as failed:
            logger.warning("Trouble not told", extra={"about": f"{self._kind.name} {name}", "error": str(failed)})
            return None


def _with_id(error: Exception) -> str:
    """A message for the user, with an id that also stands below the traceback in the log."""
    places = [f"{frame.filename}:{frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    identity = hashlib.sha256("\n".join([type(error).__name__, *places]).encode()).hexdigest()[:10]
    note = f"error id {identity}"
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)
    what = type(error).__name__
    return f"the operator failed on this resource and tries again ({what}; {note} in the operator's log)"


def _status(stored: Document, reason: str, message: str, now: str) -> Document:
    status = stored.get("status", {})
    generation = stored["metadata"].get("generation")
    final = status.get("state") in _FINAL
    text = beginning(printable(message), _MAX_MESSAGE)
    conditions = with_trouble(_conditions(status), generation, final, reason, text, now)
    told = [one.to_dict() for one in conditions]
    return {"state": "Pending", **status, "conditions": told}


def _conditions(status: Document) -> list[Condition]:
    """Those that are readable: the status may be what the operator failed on."""
    found = []
    for one in status.get("conditions", []):
        try:
            found.append(Condition.model_validate(one))
        except ValidationError:
            continue
    return found
