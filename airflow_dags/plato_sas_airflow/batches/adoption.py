"""What to do with a resource that is already there. Pure.

Nothing is ever deleted: a star that is to run again is given a new `spec.rerun`, and keeps its history. What has
succeeded stays so unless a rerun is asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from plato_sas.api import DesiredState, StarState
from plato_sas_airflow.batches.batch import Batch
from plato_sas_airflow.kube.resource import BATCH_LABEL, RERUN_ANNOTATION, Resource
from plato_sas_airflow.kube.status import last_rerun, state_at_rest

_IMMUTABLE = ("star", "campaign", "pipeline")
_WORK = ("pipeline", "parameters", "inputs", "previousCampaign")
"""The fields that decide what a star's products are."""


class Action(StrEnum):
    """How a star's resource becomes the batch's."""

    CREATE = "created"
    ADOPT = "adopted"
    RERUN = "rerun"
    REFUSE = "refused"


@dataclass(frozen=True)
class RerunRequest:
    """Stars are to run again although they have succeeded.

    `token`: each star is rerun once for it; a retry of the task has the same one, a cleared task a new one.
    `from_steps`: these run although nothing has changed for them; empty: every step is looked at again, and what
    nothing has changed for is reused.
    """

    token: str
    from_steps: tuple[str, ...] = ()

    def fields(self) -> dict[str, Any]:
        return {"from": list(self.from_steps)} if self.from_steps else {}


@dataclass(frozen=True)
class Verdict:
    """`rerun`: what `spec.rerun` says besides its id. `reason`: why the star is refused. `transient`: that may pass."""

    action: Action
    rerun: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    transient: bool = False

    @classmethod
    def refuse(cls, reason: str, transient: bool = False) -> Self:
        return cls(Action.REFUSE, reason=reason, transient=transient)


_FAILED_STEPS = Verdict(Action.RERUN, {"failed": True})


def assess(existing: Resource | None, wanted: Resource, batch: Batch, request: RerunRequest | None = None) -> Verdict:
    """What to do with `existing`, the resource of the name that `wanted` has.

    | what is there | with the same work | with other work |
    |---|---|---|
    | under way | adopted | the batch's own: rerun; else refused |
    | `Succeeded` | adopted; with a request: rerun | the batch's own, or with a request: rerun; else refused |
    | `Failed`, `Cancelled` | what failed of it is rerun; with a request: rerun | likewise |
    | `Rejected` | adopted: it runs as soon as it is sound | changed to the other work |
    | began, and is not accepted any more | rerun, which takes the pipeline as it is now | as `Failed` |

    Work is what decides the products: pipeline, parameters, inputs, previous campaign.
    """
    if existing is None:
        return Verdict(Action.CREATE)
    refusal = _refusal(existing, wanted)
    if refusal is not None:
        return refusal
    metadata, name = existing["metadata"], wanted["metadata"]["name"]
    state, same = state_at_rest(existing), same_work(existing["spec"], wanted["spec"])
    owner = (metadata.get("labels") or {}).get(BATCH_LABEL)
    asked = request is not None and (metadata.get("annotations") or {}).get(RERUN_ANNOTATION) != request.token
    steps = request.fields() if request is not None and asked else {}
    if (existing.get("status") or {}).get("state") == StarState.REJECTED and state is not None:
        return Verdict(Action.ADOPT) if same and not steps else Verdict(Action.RERUN, steps)
    if state is None and existing["spec"].get("desiredState") != DesiredState.CANCEL:
        if same and not steps:
            return Verdict(Action.ADOPT)
        if owner == batch.id:
            return Verdict(Action.RERUN, steps)
        how = "and cannot be rerun from a step meanwhile" if same else "with other parameters or inputs"
        return Verdict.refuse(
            f"StarProcessing {name} is under way for {owner or 'somebody else'} {how}; "
            "wait until it has finished, or cancel it"
        )
    if asked or (not same and owner == batch.id):
        return Verdict(Action.RERUN, steps)
    if not same:
        was = (state or StarState.CANCELLED).lower()
        return Verdict.refuse(
            f"StarProcessing {name} is there ({was}) with other parameters or inputs; "
            "with rerun=True it is processed again with these, or use another campaign"
        )
    return Verdict(Action.ADOPT) if state is StarState.SUCCEEDED else _FAILED_STEPS


def _refusal(existing: Resource, wanted: Resource) -> Verdict | None:
    name = wanted["metadata"]["name"]
    for key in _IMMUTABLE:
        present, asked = existing["spec"].get(key), wanted["spec"][key]
        if present != asked:
            return Verdict.refuse(
                f"StarProcessing {name} exists with {key} {present!r} and this batch wants {asked!r}, "
                "which cannot be changed; delete it, or use another campaign"
            )
    if existing["metadata"].get("deletionTimestamp"):
        return Verdict.refuse(f"StarProcessing {name} is being deleted; try again when it is gone", transient=True)
    return None


def same_work(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Two specs lead to the same products, whatever their priority and desired state."""
    return all((one.get(key) or None) == (other.get(key) or None) for key in _WORK)


def to_apply(wanted: Resource, existing: Resource | None, request: RerunRequest | None) -> Resource:
    """What to apply: onto `existing`, which has the same work, only if it is still what was read.

    A user's suspension is left as it is, and so is the rerun that is there, which may not be taken away.
    """
    metadata, spec = dict(wanted["metadata"]), dict(wanted["spec"])
    if request is not None:
        metadata["annotations"] = {**metadata["annotations"], RERUN_ANNOTATION: request.token}
    if existing is not None:
        metadata["resourceVersion"] = existing["metadata"]["resourceVersion"]
        if existing["spec"].get("desiredState") == DesiredState.SUSPEND:
            del spec["desiredState"]
        if existing["spec"].get("rerun") is not None:
            spec["rerun"] = existing["spec"]["rerun"]
    return {**wanted, "metadata": metadata, "spec": spec}


def to_rerun(
    wanted: Resource, existing: Resource, rerun: Mapping[str, Any], request: RerunRequest | None
) -> list[dict[str, Any]]:
    """A JSON patch that gives `existing` the wanted work and a new rerun, in one go.

    Server-side apply would leave what others have set beside it: a parameter, or the steps of their rerun.
    """
    spec = {key: wanted["spec"].get(key) for key in _WORK if wanted["spec"].get(key) != existing["spec"].get(key)}
    spec["rerun"] = {"id": last_rerun(existing) + 1, **rerun}
    if existing["spec"].get("desiredState") == DesiredState.CANCEL:
        spec["desiredState"] = DesiredState.RUN.value
    patch = [_set(f"/spec/{key}", value) for key, value in spec.items() if value is not None]
    patch += [{"op": "remove", "path": f"/spec/{key}"} for key, value in spec.items() if value is None]
    if request is not None:
        # One by one: others have annotations there, too.
        annotations = existing["metadata"].get("annotations")
        patch += [] if annotations else [_set("/metadata/annotations", {})]
        patch.append(_set(f"/metadata/annotations/{pointer(RERUN_ANNOTATION)}", request.token))
    version = existing["metadata"]["resourceVersion"]
    return [{"op": "test", "path": "/metadata/resourceVersion", "value": version}, *patch]


def pointer(key: str) -> str:
    """A key as a part of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def _set(path: str, value: object) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}
