"""The result of a batch, and the stars that did not succeed. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from plato_sas.api import StarState, StepState
from plato_sas_airflow.kube.resource import Resource
from plato_sas_airflow.kube.status import condition

MAX_REPORTED = 100
"""Number of failed stars that the result names; all are counted."""


@dataclass(frozen=True)
class StarFailure:
    """A star that did not succeed. `state` is the resource's, or `Deleted` or `Changed`."""

    star: str
    name: str
    state: str
    step: str | None = None
    exit_code: int | None = None
    reason: str | None = None
    message: str | None = None

    def heading(self) -> str:
        """One line: star, state, step, exit code, reason."""
        facts = [self.state]
        if self.step:
            facts.append(f"step {self.step}")
        if self.exit_code is not None:
            facts.append(f"exit code {self.exit_code}")
        if self.reason and self.reason != self.state:
            facts.append(self.reason)
        return f"{self.star}: {', '.join(facts)}"

    def text(self) -> str:
        """The heading, then the module's last lines."""
        return "\n".join([self.heading(), *(f"    {line}" for line in (self.message or "").splitlines())])


@dataclass(frozen=True)
class BatchResult:
    """The result of a batch.

    `failures`: the first 100 failed stars; `failures_omitted`: the number of the others. `failed_stars_file`: a CSV
    with all of them, None if none was requested or it could not be written. `unfinished` is 0 unless the time ran out;
    `cancelled`: how many of them were then cancelled.
    """

    total: int
    succeeded: int
    failed: int
    unfinished: int
    cancelled: int = 0
    failures: list[StarFailure] = field(default_factory=list)
    failures_omitted: int = 0
    failed_stars_file: str | None = None

    @property
    def timed_out(self) -> bool:
        return self.unfinished > 0

    @property
    def failed_fraction(self) -> float:
        """The fraction of all stars that failed or did not finish in time."""
        return (self.total - self.succeeded) / self.total

    def text(self) -> str:
        """The counts in one line."""
        counts = f"{self.succeeded} of {self.total} stars succeeded, {self.failed} failed"
        if self.timed_out:
            counts += f", {self.unfinished} had not finished in time ({self.cancelled} of them cancelled)"
        return counts

    def serialize(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def deserialize(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{**data, "failures": [StarFailure(**one) for one in data["failures"]]})


def failure_of(star: str, resource: Resource, state: StarState) -> StarFailure:
    """Which step failed and how; if none did, what the star's conditions say."""
    status, name = resource["status"], resource["metadata"]["name"]
    steps = [step for step in status.get("steps") or [] if step.get("state") == StepState.FAILED]
    if steps and state is not StarState.REJECTED:
        step = steps[0]
        return StarFailure(
            star, name, state.value, step["name"], step.get("exitCode"), step.get("reason"), step.get("message")
        )
    why = condition(resource, "Accepted") if state is StarState.REJECTED else {}
    why = why if why.get("message") else condition(resource, "Complete")
    return StarFailure(star, name, state.value, status.get("step"), None, why.get("reason"), why.get("message"))
