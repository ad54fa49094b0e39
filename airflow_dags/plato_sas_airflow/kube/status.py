"""Reads the status of a resource, counting only what belongs to the present spec. Pure."""

from enum import StrEnum
from typing import TypeVar

from plato_sas.api import StarState
from plato_sas_airflow.kube.resource import Resource

S = TypeVar("S", bound=StrEnum)


def observed_state(resource: Resource, kind: type[S]) -> S | None:
    """The state that the status names for the present spec; None if it names none, or one of a newer operator."""
    if not is_observed(resource):
        return None
    try:
        return kind((resource.get("status") or {}).get("state", ""))
    except ValueError:
        return None


def state_at_rest(resource: Resource) -> StarState | None:
    """The state of a star that is final or `Rejected` and belongs to the present spec; None for any other.

    A final state belongs to the present spec when the operator has observed the spec and taken up the rerun that it
    asks for. A star that would run if it were accepted counts as `Rejected`, even if it ran before.
    """
    state = observed_state(resource, StarState)
    if state is None:
        return None
    if state.final and is_taken_up(resource):
        return state
    if state is StarState.REJECTED or condition(resource, "Accepted").get("status") == "False":
        return StarState.REJECTED
    return None


def asked_rerun(resource: Resource) -> int:
    """The id of the rerun that the spec requests; 0 for none."""
    return int((resource["spec"].get("rerun") or {}).get("id", 0))


def last_rerun(resource: Resource) -> int:
    """The id of the last rerun that was requested or taken up; the next one must be higher."""
    return max(asked_rerun(resource), _taken_up(resource))


def is_observed(resource: Resource) -> bool:
    """Whether the status was written for the present spec."""
    return bool((resource.get("status") or {}).get("observedGeneration") == resource["metadata"].get("generation"))


def is_taken_up(resource: Resource) -> bool:
    """Whether the operator has taken up the rerun that the spec requests, if any."""
    return asked_rerun(resource) <= _taken_up(resource)


def _taken_up(resource: Resource) -> int:
    return int((resource.get("status") or {}).get("rerun") or 0)


def condition(resource: Resource, kind: str) -> dict[str, str]:
    """The condition of a type; empty if there is none."""
    found = (resource.get("status") or {}).get("conditions") or []
    return next((one for one in found if one.get("type") == kind), {})


def step_state(resource: Resource, step: str) -> str | None:
    """A step's state if it belongs to the present spec, else None."""
    if not (is_observed(resource) and is_taken_up(resource)):
        return None
    steps = (resource.get("status") or {}).get("steps") or []
    return next((one.get("state") for one in steps if one.get("name") == step), None)
