"""What to do with a resource that is already there. Pure.

Nothing is ever deleted: a star that must run again gets a new `spec.rerun` and keeps its history. A star that has
succeeded is left alone unless a rerun is requested.
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
"""The fields that determine a star's products."""


class Action(StrEnum):
    """What is done with a star's resource."""

    CREATE = "created"
    ADOPT = "adopted"
    RERUN = "rerun"
    REFUSE = "refused"


@dataclass(frozen=True)
class RerunRequest:
    """A request to run stars again that have succeeded.

    `token`: each star is rerun once per token; a retry of the task has the same token, a cleared task a new one.
    `from_steps`: steps that run even if nothing has changed for them. If empty, every step is assessed again, and
    reused if nothing has changed for it.
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
    """What to do with `existing`, the resource with the name of `wanted`.

    | existing | same work | other work |
    |---|---|---|
    | under way | adopt | rerun if it is of this batch, else refuse |
    | `Succeeded` | adopt; rerun if requested | rerun if it is of this batch or requested, else refuse |
    | `Failed`, `Cancelled` | rerun the failed steps, or as requested | as `Succeeded` |
    | `Rejected` | adopt: it runs as soon as it is accepted | change it to the other work |
    | started, and no longer accepted | rerun with the pipeline as it is now | as `Failed` |

    Work is what determines the products: pipeline, parameters, inputs, previous campaign.
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
    """Whether two specs lead to the same products, whatever their priority and desired state."""
    return all((one.get(key) or None) == (other.get(key) or None) for key in _WORK)


def to_apply(wanted: Resource, existing: Resource | None, request: RerunRequest | None) -> Resource:
    """What to apply. `existing` has the same work, and is changed only if it is still as it was read.

    A user's suspension stays, and so does an existing rerun, which must not be removed.
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
    """A JSON patch that sets the wanted work and a new rerun together.

    Server-side apply would keep what others have set: a parameter, or the steps of their rerun.
    """
    spec = {key: wanted["spec"].get(key) for key in _WORK if wanted["spec"].get(key) != existing["spec"].get(key)}
    spec["rerun"] = {"id": last_rerun(existing) + 1, **rerun}
    if existing["spec"].get("desiredState") == DesiredState.CANCEL:
        spec["desiredState"] = DesiredState.RUN.value
    patch = [_set(f"/spec/{key}", value) for key, value in spec.items() if value is not None]
    patch += [{"op": "remove", "path": f"/spec/{key}"} for key, value in spec.items() if value is None]
    if request is not None:
        # Added one by one, since others have annotations there too.
        annotations = existing["metadata"].get("annotations")
        patch += [] if annotations else [_set("/metadata/annotations", {})]
        patch.append(_set(f"/metadata/annotations/{pointer(RERUN_ANNOTATION)}", request.token))
    version = existing["metadata"]["resourceVersion"]
    return [{"op": "test", "path": "/metadata/resourceVersion", "value": version}, *patch]


def pointer(key: str) -> str:
    """A key as one part of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def _set(path: str, value: object) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}
