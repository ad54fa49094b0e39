"""What a StarProcessing's status says for certain. Pure."""

from plato_sas.api import StarState
from plato_sas_airflow.batch import Resource


def final_state(resource: Resource) -> StarState | None:
    """The final state of a resource, or None while it has none that belongs to its present spec.

    It belongs to it when `status.observedGeneration` is the resource's generation, and the rerun that the spec asks
    for was taken up. A star that is not accepted, and would run if it were, is `Rejected`, also where it ran before.
    """
    status = resource.get("status") or {}
    if status.get("observedGeneration") != resource["metadata"].get("generation"):
        return None
    try:
        state = StarState(status.get("state", ""))
    except ValueError:  # none yet, or one that a newer operator writes
        return None
    asked = (resource["spec"].get("rerun") or {}).get("id", 0)
    if state.ended and asked <= (status.get("rerun") or 0):
        return state
    if state is StarState.REJECTED or condition(resource, "Accepted").get("status") == "False":
        return StarState.REJECTED
    return None


def condition(resource: Resource, kind: str) -> dict[str, str]:
    """A condition of the status, empty if there is none of that type."""
    found = (resource.get("status") or {}).get("conditions") or []
    return next((one for one in found if one.get("type") == kind), {})


def step_state(resource: Resource, step: str) -> str | None:
    """A step's state that belongs to the present spec, or None."""
    status = resource.get("status") or {}
    asked = (resource["spec"].get("rerun") or {}).get("id", 0)
    observed = status.get("observedGeneration") == resource["metadata"].get("generation")
    if not observed or asked > (status.get("rerun") or 0):
        return None
    return next((one.get("state") for one in status.get("steps") or [] if one.get("name") == step), None)
