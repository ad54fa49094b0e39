"""Whether stars have reached the state that a sensor waits for. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from plato_sas.api import StarState, StepState
from plato_sas_airflow.errors import BatchError, listed
from plato_sas_airflow.kube.resource import Resource
from plato_sas_airflow.kube.status import state_at_rest, step_state

_GONE = "Deleted"
_AT_REST = frozenset(state.value for state in StarState if state.at_rest)


@dataclass(frozen=True)
class Goal:
    """`allowed`: states to wait for. `failed`: states after which waiting is useless.

    They are states of the `step` if there is one, else of the stars. `minimum`: the least number of stars.
    """

    allowed: frozenset[str]
    failed: frozenset[str]
    step: str | None = None
    minimum: int = 1

    @classmethod
    def of(
        cls,
        step: str | None = None,
        allowed: Sequence[str] | None = None,
        failed: Sequence[str] | None = None,
        minimum: int = 1,
    ) -> Self:
        """A goal with defaults: wait for success; every other final state is a failure. Raises BatchError."""
        states: type[StarState] | type[StepState] = StepState if step else StarState
        usual = {"Succeeded", "Reused"} if step else {"Succeeded"}
        wanted = frozenset(usual if allowed is None else allowed)
        ends = {"Failed", "Cancelled", "Skipped"} if step else {"Failed", "Cancelled"}
        unwanted = frozenset(ends - wanted if failed is None else failed)
        for name, given in (("allowed_states", wanted), ("failed_states", unwanted)):
            unknown = sorted(given - {one.value for one in states})
            if unknown:
                known = ", ".join(one.value for one in states)
                raise BatchError(f"{name}: {', '.join(unknown)}: there is no such state; there are {known}")
        if not wanted:
            raise BatchError("allowed_states: none is given")
        if wanted & unwanted:
            raise BatchError(f"failed_states: {', '.join(sorted(wanted & unwanted))} is among allowed_states too")
        if minimum < 1:
            raise BatchError(f"minimum: must be at least 1, not {minimum}")
        return cls(wanted, unwanted, step, minimum)

    def state(self, resource: Resource) -> str | None:
        """The state that counts, or None if the status has none for the present spec yet."""
        if self.step is not None:
            return step_state(resource, self.step)
        at_rest = state_at_rest(resource)
        if at_rest is not None:
            return at_rest.value
        state = (resource.get("status") or {}).get("state")
        # A state at rest of an older spec says nothing.
        return None if state in _AT_REST else state

    def serialize(self) -> dict[str, Any]:
        return {
            "allowed": sorted(self.allowed),
            "failed": sorted(self.failed),
            "step": self.step,
            "minimum": self.minimum,
        }

    @classmethod
    def deserialize(cls, data: Mapping[str, Any]) -> Self:
        return cls(frozenset(data["allowed"]), frozenset(data["failed"]), data["step"], data["minimum"])


@dataclass
class Reaching:
    """The stars seen so far, and the state of each. A star that has reached the goal stays there."""

    goal: Goal
    states: dict[str, str | None] = field(default_factory=dict)

    def observe(self, resource: Resource) -> None:
        name = resource["metadata"]["name"]
        if self.states.get(name) not in self.goal.allowed:
            self.states[name] = self.goal.state(resource)

    def gone(self, name: str) -> None:
        """A star was deleted; it can no longer reach the goal."""
        if name in self.states and self.states[name] not in self.goal.allowed:
            self.states[name] = _GONE

    def missing(self, listed_names: set[str]) -> None:
        for name in [one for one in self.states if one not in listed_names]:
            self.gone(name)

    @property
    def reached(self) -> bool:
        return len(self.states) >= self.goal.minimum and all(one in self.goal.allowed for one in self.states.values())

    @property
    def problem(self) -> str:
        """Why the goal is out of reach; empty if it is not."""
        what = f"step {self.goal.step} " if self.goal.step else ""
        lost = [
            f"{name}: {what if state != _GONE else ''}{state}"
            for name, state in self.states.items()
            if state == _GONE or (state is not None and state in self.goal.failed)
        ]
        return listed(lost)

    @property
    def done(self) -> bool:
        return self.reached or bool(self.problem)

    def counts(self) -> dict[str, int]:
        """State to number of stars."""
        return dict(Counter(state or "Unknown" for state in self.states.values()))

    def event(self) -> dict[str, Any]:
        return {"problem": self.problem, "stars": len(self.states), "states": self.counts()}
