"""Counts a batch: which stars succeeded, which failed and why, and how long the rest may take. Pure.

Only a state at rest that belongs to the present spec counts; every other star is under way, or has failed. A rejected
star fails after a while, since it runs as soon as its pipeline or module is corrected.
"""

from collections import Counter
from collections.abc import Mapping

from plato_sas.api import StarState
from plato_sas_airflow.batches.results import MAX_REPORTED, BatchResult, StarFailure, failure_of
from plato_sas_airflow.kube.resource import Resource
from plato_sas_airflow.kube.status import state_at_rest


class BatchProgress:
    """The stars of one batch, as seen so far. A finished star stays finished.

    :param names: resource name to star.
    :param rejected_seconds: a star that stays `Rejected` for longer has failed.
    :param keep_all: keep every failure in `failures` instead of the first hundred.
    """

    def __init__(self, names: Mapping[str, str], rejected_seconds: float = 0.0, keep_all: bool = False) -> None:
        self._names = dict(names)
        self._unfinished: dict[str, str] = dict.fromkeys(self._names, "Unseen")
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
        """Names of the resources of unfinished stars."""
        return list(self._unfinished)

    @property
    def done(self) -> bool:
        return not self._unfinished

    @property
    def next_expiry(self) -> float | None:
        """When the first rejected star will count as failed, by the clock of `observe`."""
        since = [began for began, _ in self._rejected.values()]
        return min(since) + self._rejected_seconds if since else None

    def is_unfinished(self, name: str) -> bool:
        """Whether the resource belongs to the batch and its star is unfinished."""
        return name in self._unfinished

    def observe(self, resource: Resource, now: float) -> StarFailure | None:
        """Take in a resource as it is at `now`; returns the failure if the star has just failed or been rejected."""
        name = resource["metadata"]["name"]
        if name not in self._unfinished:
            return None
        state = state_at_rest(resource)
        if state is StarState.REJECTED:
            return self._reject(failure_of(self._names[name], resource, state), now)
        self._rejected.pop(name, None)
        if state is None:
            self._unfinished[name] = (resource.get("status") or {}).get("state") or StarState.PENDING.value
            return None
        if state is StarState.SUCCEEDED:
            del self._unfinished[name]
            return None
        return self._fail(failure_of(self._names[name], resource, state))

    def expire(self, now: float) -> None:
        """Fail the stars that have been rejected for too long."""
        for began, failure in list(self._rejected.values()):
            if now - began >= self._rejected_seconds:
                self._fail(failure)

    def gone(self, name: str) -> StarFailure | None:
        """The resource was deleted."""
        return self._lose(name, "Deleted", "the StarProcessing was deleted before it had finished")

    def changed(self, name: str, how: str) -> StarFailure | None:
        """The resource no longer belongs to the batch; `how`: what was changed."""
        return self._lose(name, "Changed", f"the StarProcessing was changed before it had finished: {how}")

    def result(self) -> BatchResult:
        reported = self.failures[:MAX_REPORTED]
        return BatchResult(
            total=len(self._names),
            succeeded=len(self._names) - len(self._unfinished) - self._failed,
            failed=self._failed,
            unfinished=len(self._unfinished),
            failures=reported,
            failures_omitted=self._failed - len(reported),
        )

    def counts(self) -> str:
        """The number of stars in each state."""
        succeeded = len(self._names) - len(self._unfinished) - self._failed
        # Not "succeeded": an unfinished star may still show the state Succeeded of its earlier spec.
        parts = [f"{succeeded} done", f"{self._failed} failed"]
        parts += [f"{number} {state.lower()}" for state, number in sorted(Counter(self._unfinished.values()).items())]
        return f"{succeeded + self._failed}/{len(self._names)} stars: {', '.join(parts)}"

    def summary(self, now: float) -> str:
        """Counts, rate and estimated time left; `now`: seconds of a monotonic clock."""
        text, finished = self.counts(), len(self._names) - len(self._unfinished)
        if self._first is None:
            self._first = (now, finished)
        began, before = self._first
        if finished > before and now > began and self._unfinished:
            rate = (finished - before) / (now - began)
            text += f"; {rate * 3600:.0f} stars/h, about {_duration(len(self._unfinished) / rate)} left"
        return text

    def _reject(self, failure: StarFailure, now: float) -> StarFailure | None:
        known = failure.name in self._rejected
        began = self._rejected[failure.name][0] if known else now
        self._rejected[failure.name] = (began, failure)
        self._unfinished[failure.name] = StarState.REJECTED.value
        if now - began >= self._rejected_seconds:
            return self._fail(failure)
        return None if known else failure

    def _lose(self, name: str, state: str, message: str) -> StarFailure | None:
        if name not in self._unfinished:
            return None
        return self._fail(StarFailure(self._names[name], name, state, message=message))

    def _fail(self, failure: StarFailure) -> StarFailure:
        del self._unfinished[failure.name]
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
