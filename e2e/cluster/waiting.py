"""Waiting for a condition, or for another command, in bounded time."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from e2e.cluster.errors import ClusterError
from e2e.processes.locking import LockTimeout, exclusive

_POLL_SECONDS = 0.05
_LOCK_SECONDS = 600
_TAIL_LINES = 20
_TAIL_BYTES = 16384


def wait_until(
    condition: Callable[[], str], *, what: str, timeout: float, give_up: Callable[[], str] = lambda: ""
) -> None:
    """Return as soon as `condition` returns an empty string.

    Raises ClusterError with what it said last after `timeout` seconds, or at once when `give_up` says why.
    """
    deadline = time.monotonic() + timeout
    while wrong := condition():
        if hopeless := give_up():
            raise ClusterError(f"{what}: {hopeless}")
        if time.monotonic() >= deadline:
            raise ClusterError(f"{what}: not within {timeout:.0f} s: {wrong}")
        time.sleep(_POLL_SECONDS)


@contextmanager
def exclusive_change(lock: Path, timeout: float = _LOCK_SECONDS) -> Iterator[None]:
    """Only one command at a time changes a cluster. Raises ClusterError if another does for `timeout` seconds."""
    try:
        with exclusive(lock, timeout=timeout, waiting="waiting for another command that changes the cluster"):
            yield
    except LockTimeout as error:
        raise ClusterError(str(error)) from None


def tail(logs: Sequence[Path]) -> str:
    """The last lines of each log."""
    parts: list[str] = []
    for log in logs:
        try:
            with log.open("rb") as file:
                file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
                lines = file.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
        except FileNotFoundError:
            lines = ["(no such file)"]
        parts.append("\n".join([f"--- end of {log}", *lines]))
    return "\n".join(parts)
