"""What to do with a resource that is already there. Pure.

A star that has succeeded with the same pipeline and parameters is done, and one that is under way is waited for. One
that ended otherwise (failed, cancelled, rejected, or with other parameters) is deleted and created anew, and runs from
its first step; what it publishes takes the place of the products that are there.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from plato_sas.api import DesiredState, StarState
from plato_sas_airflow.batch import BATCH_LABEL, Batch, Resource
from plato_sas_airflow.progress import finished_state

_IMMUTABLE = ("star", "campaign", "pipeline")


class Action(StrEnum):
    """How a star's resource becomes the batch's."""

    CREATE = "created"
    ADOPT = "adopted"
    REPLACE = "replaced"
    REFUSE = "refused"


@dataclass(frozen=True)
class Verdict:
    """`reason` says why it is refused; otherwise it is empty."""

    action: Action
    reason: str = ""


def assess(existing: Resource | None, wanted: Resource, batch: Batch) -> Verdict:
    """What to do with `existing`, the resource of the name that `wanted` has.

    It is refused where an immutable field differs, where it is being deleted, and where another batch's star is under
    way with other parameters: that batch would get the products of something that it did not ask for.
    """
    if existing is None:
        return Verdict(Action.CREATE)
    name = wanted["metadata"]["name"]
    for field in _IMMUTABLE:
        present, asked = existing["spec"].get(field), wanted["spec"][field]
        if present != asked:
            return Verdict(
                Action.REFUSE,
                f"StarProcessing {name} exists with {field} {present!r} and this batch wants {asked!r}, "
                "which cannot be changed; delete it, or use another campaign",
            )
    if existing["metadata"].get("deletionTimestamp"):
        return Verdict(Action.REFUSE, f"StarProcessing {name} is being deleted; try again when it is gone")
    same, state = same_work(existing, batch), finished_state(existing)
    if state is not None:
        return Verdict(Action.ADOPT if same and state is StarState.SUCCEEDED else Action.REPLACE)
    if existing["spec"].get("desiredState") == DesiredState.CANCEL:
        return Verdict(Action.REPLACE)
    if same:
        return Verdict(Action.ADOPT)
    owner = existing["metadata"].get("labels", {}).get(BATCH_LABEL)
    if owner == batch.id:
        return Verdict(Action.REPLACE)
    return Verdict(
        Action.REFUSE,
        f"StarProcessing {name} is under way with other parameters for {owner or 'somebody else'}; "
        "wait until it has finished, or cancel it",
    )


def same_work(existing: Resource, batch: Batch) -> bool:
    """The resource asks for what the batch asks for, whatever its priority and desired state."""
    spec: dict[str, Any] = existing["spec"]
    return spec.get("pipeline") == batch.pipeline and (spec.get("parameters") or {}) == batch.parameters


def adopted(existing: Resource, wanted: Resource) -> Resource:
    """What to apply onto `existing`: only if it is still what was read, and with a user's suspension left as it is."""
    metadata = {**wanted["metadata"], "resourceVersion": existing["metadata"]["resourceVersion"]}
    spec = dict(wanted["spec"])
    if existing["spec"].get("desiredState") == DesiredState.SUSPEND:
        del spec["desiredState"]
    return {**wanted, "metadata": metadata, "spec": spec}
