"""Count a batch: which stars are done, which failed and why, and how long the rest may take. Pure.

Only an explicit, terminal, observed state counts (`states.state_at_rest`). Everything else is under way, or a failure.
`Rejected` is final only after a while: the star runs as soon as somebody mends its pipeline or its module.
"""

from collections import Counter
from collections.abc import Mapping

from plato_sas.api import StarState
from plato_sas_airflow.batches.results import MAX_REPORTED, BatchResult, StarFailure, failure_of
from plato_sas_airflow.kube.resource import Resource
from plato_sas_airflow.kube.status import state_at_rest


class BatchProgress:
    """The stars of one batch as far as they were seen. A star that has ended stays ended.

    :param names: resource name to star.
    :param rejected_seconds: a star that stays `Rejected` so long has failed.
    :param keep_all: keep every failure for `failures`, not the first hundred.
    """

    def __init__(self, names: Mapping[str, str], rejected_seconds: float = 0.0, keep_all: bool = False) -> None:
        self._names = dict(names)
        self._open: dict[str, str] = dict.fromkeys(self._names, "Unseen")
        self._rejected_seconds = rejected_seconds
        self._rejected: dict[str, tuple[float, StarFailure]] = {}
        self._kept = None if keep_all else MAX_REPORTED
        self._failed = 0
        self.failures: list[StarFailure] = []
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

    @property
    def next_expiry(self) -> float | None:
        """When the first of the rejected stars counts as failed, by the clock of `observe`."""
        since = [began for began, _ in self._rejected.values()]
        return min(since) + self._rejected_seconds if since else None

    def is_open(self, name: str) -> bool:
        """It is one of the batch's, and has not ended."""
        return name in self._open

    def observe(self, resource: Resource, now: float) -> StarFailure | None:
        """Take in what a resource says at `now`; returns the failure if the star has just failed or been rejected."""
        name = resource["metadata"]["name"]
        if name not in self._open:
            return None
        state = state_at_rest(resource)
        if state is StarState.REJECTED:
            return self._reject(failure_of(self._names[name], resource, state), now)
        self._rejected.pop(name, None)
        if state is None:
            self._open[name] = (resource.get("status") or {}).get("state") or StarState.PENDING.value
            return None
        if state is StarState.SUCCEEDED:
            del self._open[name]
            return None
        return self._fail(failure_of(self._names[name], resource, state))

    def expire(self, now: float) -> None:
        """Stars that have been rejected for long enough have failed."""
        for began, failure in list(self._rejected.values()):
            if now - began >= self._rejected_seconds:
                self._fail(failure)

    def gone(self, name: str) -> StarFailure | None:
        """The resource does not exist any more."""
        return self._end(name, "Deleted", "the StarProcessing was deleted before it had finished")

    def changed(self, name: str, how: str) -> StarFailure | None:
        """The resource is not the batch's any more: `how` says what was done to it."""
        return self._end(name, "Changed", f"the StarProcessing was changed before it had finished: {how}")

    def result(self) -> BatchResult:
        reported = self.failures[:MAX_REPORTED]
        return BatchResult(
            total=len(self._names),
            succeeded=len(self._names) - len(self._open) - self._failed,
            failed=self._failed,
            unfinished=len(self._open),
            failures=reported,
            failures_omitted=self._failed - len(reported),
        )

    def counts(self) -> str:
        """How many stars are in which state."""
        succeeded = len(self._names) - len(self._open) - self._failed
        parts = [f"{succeeded} done", f"{self._failed} failed"]
        parts += [f"{number} {state.lower()}" for state, number in sorted(Counter(self._open.values()).items())]
        return f"{succeeded + self._failed}/{len(self._names)} stars: {', '.join(parts)}"

    def summary(self, now: float) -> str:
        """Counts, rate and estimated time left; `now` in seconds of a clock that does not go back."""
        text, ended = self.counts(), len(self._names) - len(self._open)
        if self._first is None:
            self._first = (now, ended)
        began, before = self._first
        if ended > before and now > began and self._open:
            rate = (ended - before) / (now - began)
            text += f"; {rate * 3600:.0f} stars/h, about {_duration(len(self._open) / rate)} left"
        return text

    def _reject(self, failure: StarFailure, now: float) -> StarFailure | None:
        known = failure.name in self._rejected
        began = self._rejected[failure.name][0] if known else now
        self._rejected[failure.name] = (began, failure)
        self._open[failure.name] = StarState.REJECTED.value
        if now - began >= self._rejected_seconds:
            return self._fail(failure)
        return None if known else failure

    def _end(self, name: str, state: str, message: str) -> StarFailure | None:
        if name not in self._open:
            return None
        return self._fail(StarFailure(self._names[name], name, state, message=message))

    def _fail(self, failure: StarFailure) -> StarFailure:
        del self._open[failure.name]
        self._rejected.pop(failure.name, None)
        self._failed += 1
        if self._kept is None or len(self.failures) < self._kept:
            self.failures.append(failure)
        return failure


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
