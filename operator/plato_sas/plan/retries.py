"""When what has failed is tried again: each class of failure has its own first pause."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from plato_sas.api import parse_time
from plato_sas.jobs.failure import FailureClass

# Retries that the module is not to blame for, and the first pause before one of each class (seconds).
INFRASTRUCTURE_RETRIES = 5
_FIRST_PAUSE = {
    FailureClass.TEMPORARY: 10.0,
    FailureClass.INFRASTRUCTURE: 2.0,
    FailureClass.OUT_OF_MEMORY: 0.0,
}
_LONGEST_PAUSE = 300.0


class Retried(Protocol):
    """A status with attempts: a step's, or a catalogue's."""

    @property
    def retries(self) -> Mapping[str, int] | None: ...

    @property
    def finished_at(self) -> str | None: ...


def pause_left(status: Retried, now: str) -> float:
    """Seconds until the next attempt may begin; 0 if it may now. The pause doubles with each retry."""
    if not status.retries or status.finished_at is None:
        return 0.0
    pauses = [
        min(_LONGEST_PAUSE, _FIRST_PAUSE[FailureClass(kind)] * 2 ** (count - 1))
        for kind, count in status.retries.items()
    ]
    due = parse_time(status.finished_at) + timedelta(seconds=max(pauses))
    return max(0.0, (due - parse_time(now)).total_seconds())
