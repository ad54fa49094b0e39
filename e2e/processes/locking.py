"""One command at a time: locks on files."""

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.2


class LockTimeout(Exception):
    """Another command held the lock for too long."""


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def exclusive(
    file: Path,
    *,
    timeout: float,
    waiting: str,
    report: Callable[[str], None] = _to_stderr,
    inheritable: bool = False,
) -> Iterator[None]:
    """Hold the lock of that file, and report `waiting` once if another command has it.

    The kernel gives it free when its holder ends, however that happens; with `inheritable`, when also the programs
    have ended that the holder started with its open files. Raises LockTimeout after `timeout` seconds.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as handle:
        os.set_inheritable(handle.fileno(), inheritable)
        deadline = time.monotonic() + timeout
        told = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    report(waiting)
                    told = True
                if time.monotonic() >= deadline:
                    raise LockTimeout(f"another command holds {file} for more than {timeout:.0f} s") from None
                time.sleep(_POLL_SECONDS)
        yield
