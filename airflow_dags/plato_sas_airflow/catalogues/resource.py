"""A campaign's StarCatalogue: its name, its spec and its state. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import ValidationError

from plato_sas.api import API_VERSION, CatalogueState, StarCatalogue, StarCatalogueSpec
from plato_sas_airflow.errors import BatchError, listed
from plato_sas_airflow.kube.names import joined_name
from plato_sas_airflow.kube.resource import CAMPAIGN_LABEL, RERUN_ANNOTATION, TASK_ANNOTATION, Resource
from plato_sas_airflow.kube.status import is_taken_up, last_rerun, observed_state

DELETED = "Deleted"
UNFINISHED = "Unfinished"
"""Reported as the state of a catalogue that was deleted, or has no final state in time."""
_IMMUTABLE = ("campaign", "pipeline", "tables", "stars")


@dataclass(frozen=True)
class CatalogueRef:
    """One StarCatalogue. `uid`: distinguishes it from a later one of the same name."""

    name: str
    namespace: str
    uid: str

    @classmethod
    def of(cls, resource: Resource) -> "CatalogueRef":
        metadata = resource["metadata"]
        return cls(metadata["name"], metadata["namespace"], metadata["uid"])

    def serialize(self) -> dict[str, str]:
        return asdict(self)


def catalogue_name(campaign: str, pipeline: str) -> str:
    """The name of a campaign's catalogue."""
    return joined_name(campaign, pipeline, unique=campaign == campaign.lower())


def checked_spec(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A StarCatalogue's spec, without empty fields. Raises BatchError naming every field that is not valid."""
    given = {key: value for key, value in fields.items() if value not in (None, "", [], {})}
    try:
        StarCatalogueSpec.model_validate(given)
    except ValidationError as error:
        found = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise BatchError(f"catalogue: {listed(found)}") from None
    return given


@dataclass(frozen=True)
class WantedCatalogue:
    """A catalogue to make. `spec`: what `checked_spec` returns.

    `token`: the catalogue is made once per token; Airflow's retry of a task has the same token, a cleared task or
    another run a new one. `origin`: the task, for people who read the resource.
    """

    name: str
    namespace: str
    spec: Mapping[str, Any]
    token: str
    origin: str = ""

    def to_apply(self, existing: Resource | None) -> Resource | None:
        """What to apply, provided that `existing` is still as it was read; None if this token's catalogue is there.

        An existing catalogue is made again by a rerun, since products may have changed.
        Raises BatchError if it has other tables, or is being deleted.
        """
        spec = dict(self.spec)
        metadata: dict[str, Any] = {
            "name": self.name,
            "namespace": self.namespace,
            "labels": {CAMPAIGN_LABEL: spec["campaign"]},
            "annotations": {RERUN_ANNOTATION: self.token, TASK_ANNOTATION: self.origin},
        }
        if existing is not None:
            self._refuse(existing)
            if (existing["metadata"].get("annotations") or {}).get(RERUN_ANNOTATION) == self.token:
                return None
            metadata["resourceVersion"] = existing["metadata"]["resourceVersion"]
            spec["rerun"] = {"id": last_rerun(existing) + 1}
        return {"apiVersion": API_VERSION, "kind": StarCatalogue.__name__, "metadata": metadata, "spec": spec}

    def _refuse(self, existing: Resource) -> None:
        if existing["metadata"].get("deletionTimestamp"):
            raise BatchError(f"StarCatalogue {self.name} is being deleted; try again when it is gone")
        present, wanted = _normal(existing["spec"]), _normal(self.spec)
        differ = [field for field in _IMMUTABLE if present.get(field) != wanted.get(field)]
        if differ:
            raise BatchError(
                f"StarCatalogue {self.name} exists with other {', '.join(differ)}, which cannot be changed; "
                "delete it, or give the catalogue another name"
            )


def state_at_rest(resource: Resource) -> CatalogueState | None:
    """The state of a catalogue that is final or `Rejected` and belongs to the present spec; None for any other."""
    state = observed_state(resource, CatalogueState)
    if state is CatalogueState.REJECTED or (state is not None and state.final and is_taken_up(resource)):
        return state
    return None


def summary(resource: Resource) -> dict[str, Any]:
    """What a task returns for a catalogue: name, state, counts and files; bounded like the status."""
    status = resource.get("status") or {}
    kept = ("state", "message", "exitCode", "attempt", "stars", "tables", "startedAt", "finishedAt")
    return {"name": resource["metadata"]["name"], **{key: status[key] for key in kept if status.get(key) is not None}}


def _normal(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec with its defaults filled in, for comparison; a spec of a newer operator is left as it is."""
    try:
        return StarCatalogueSpec.model_validate(spec).to_dict()
    except ValidationError:
        return dict(spec)
