"""Count a batch: which stars are done, which failed and why, and how long the rest may take. Pure.

Only an explicit, terminal, observed state counts: `status.state` is one of the final states, and
`status.observedGeneration` says that it belongs to the present spec. Everything else is under way, or a failure.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from plato_sas.api import StarState, StepState
from plato_sas_airflow.batch import Resource

MAX_REPORTED = 100
"""So many failed stars are named in the result; all are counted."""


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

    def text(self) -> str:
        """For the log: one line, then the module's last lines."""
        facts = [self.state]
        if self.step:
            facts.append(f"step {self.step}")
        if self.exit_code is not None:
            facts.append(f"exit code {self.exit_code}")
        if self.reason:
            facts.append(self.reason)
        lines = [f"{self.star}: {', '.join(facts)}"]
        lines += [f"    {line}" for line in (self.message or "").splitlines()]
        return "\n".join(lines)


@dataclass(frozen=True)
class BatchResult:
    """How a batch ended. `failures` are the first 100; `unfinished` is not 0 only when the time ran out."""

    total: int
    succeeded: int
    failed: int
    unfinished: int
    failures: list[StarFailure] = field(default_factory=list)

    @property
    def timed_out(self) -> bool:
        return self.unfinished > 0

    def serialize(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def deserialize(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{**data, "failures": [StarFailure(**one) for one in data["failures"]]})


def finished_state(resource: Resource) -> StarState | None:
    """The final state of a resource, or None while it has none that belongs to its present spec."""
    status = resource.get("status") or {}
    if status.get("observedGeneration") != resource["metadata"].get("generation"):
        return None
    try:
        state = StarState(status.get("state", ""))
    except ValueError:  # none yet, or one that a newer operator writes
        return None
    return state if state.finished else None


def failure_of(star: str, resource: Resource, state: StarState) -> StarFailure:
    """Which step failed and how; without one (a rejected star), what its condition `Complete` says."""
    status = resource["status"]
    steps = [step for step in status.get("steps", []) if step.get("state") == StepState.FAILED]
    name = resource["metadata"]["name"]
    if steps:
        step = steps[0]
        return StarFailure(
            star,
            name,
            state.value,
            step["name"],
            step.get("exitCode"),
            step.get("reason"),
            step.get("message"),
        )
    conditions = {one.get("type"): one for one in status.get("conditions", [])}
    condition = conditions.get("Complete", {})
    return StarFailure(
        star, name, state.value, status.get("step"), None, condition.get("reason"), condition.get("message")
    )


class BatchProgress:
    """The stars of one batch as far as they were seen. A star that has ended stays ended."""

    def __init__(self, names: Mapping[str, str]) -> None:
        """`names`: resource name to star."""
        self._names = dict(names)
        self._open: dict[str, str] = dict.fromkeys(self._names, "Unseen")
        self._failures: dict[str, StarFailure] = {}
        self._first: tuple[float, int] | None = None

    def __contains__(self, name: str) -> bool:
        return name in self._names

    @property
    def unfinished(self) -> list[str]:
        """Names of the resources that have not ended."""
        return list(self._open)

    @property
    def done(self) -> bool:
        return not self._open

    def observe(self, resource: Resource) -> StarFailure | None:
        """Take in what a resource says now; gives the failure if the star has just failed."""
        name = resource["metadata"]["name"]
        if name not in self._open:
            return None
        state = finished_state(resource)
        if state is None:
            self._open[name] = (resource.get("status") or {}).get("state") or StarState.PENDING.value
            return None
        if state is StarState.SUCCEEDED:
            del self._open[name]
            return None
        return self._fail(failure_of(self._names[name], resource, state))

    def gone(self, name: str) -> StarFailure | None:
        """The resource does not exist any more."""
        return self._end(name, "Deleted", "the StarProcessing was deleted before it had finished")

    def changed(self, name: str, how: str) -> StarFailure | None:
        """The resource is not the batch's any more: `how` says what was done to it."""
        return self._end(name, "Changed", f"the StarProcessing was changed before it had finished: {how}")

    def result(self) -> BatchResult:
        failures = list(self._failures.values())
        return BatchResult(
            total=len(self._names),
            succeeded=len(self._names) - len(self._open) - len(failures),
            failed=len(failures),
            unfinished=len(self._open),
            failures=failures[:MAX_REPORTED],
        )

    def summary(self, now: float) -> str:
        """Counts, rate and estimated time left; `now` in seconds of a clock that does not go back."""
        result = self.result()
        ended = result.succeeded + result.failed
        counts = Counter(self._open.values())
        parts = [f"{result.succeeded} done", f"{result.failed} failed"]
        parts += [f"{number} {state.lower()}" for state, number in sorted(counts.items())]
        text = f"{ended}/{result.total} stars: {', '.join(parts)}"
        if self._first is None:
            self._first = (now, ended)
        began, before = self._first
        if ended > before and now > began and self._open:
            rate = (ended - before) / (now - began)
            text += f"; {rate * 3600:.0f} stars/h, about {_duration(len(self._open) / rate)} left"
        return text

    def _end(self, name: str, state: str, message: str) -> StarFailure | None:
        if name not in self._open:
            return None
        return self._fail(StarFailure(self._names[name], name, state, message=message))

    def _fail(self, failure: StarFailure) -> StarFailure:
        del self._open[failure.name]
        self._failures[failure.name] = failure
        return failure


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
