"""One command at a time: locks on files."""

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.layout import REPOSITORY

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
    """Hold the lock of that file; if another command has it, report `waiting` once, and who holds it.

    The kernel frees it when its holder ends, however that happens; with `inheritable`, only when the programs that the
    holder started with its open files have ended too. Raises LockTimeout after `timeout` seconds.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as handle:
        os.set_inheritable(handle.fileno(), inheritable)
        deadline = time.monotonic() + timeout
        reported = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not reported:
                    report(f"{waiting}{_holder(file)}")
                    reported = True
                if time.monotonic() >= deadline:
                    raise LockTimeout(
                        f"another command holds {file} for more than {timeout:.0f} s{_holder(file)}"
                    ) from None
                time.sleep(_POLL_SECONDS)
        handle.truncate(0)
        handle.write(f"pid {os.getpid()} of {REPOSITORY}")
        handle.flush()
        try:
            yield
        finally:
            handle.truncate(0)


def _holder(file: Path) -> str:
    """Who holds the lock, as the holder wrote it there: its pid and its checkout."""
    written = file.read_text().strip()
    return f": {written}" if written else ""
