"""One command at a time changes a cluster."""

import fcntl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.cluster.errors import ClusterError

_TIMEOUT_SECONDS = 600
_POLL_SECONDS = 0.2


@contextmanager
def exclusive(file: Path, timeout: float = _TIMEOUT_SECONDS) -> Iterator[None]:
    """Hold the lock of that file. The kernel gives it free when its holder ends, however that happens.

    Raises ClusterError if another command has it for longer than `timeout` seconds.
    """
    with file.open("a") as handle:
        deadline = time.monotonic() + timeout
        told = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    print("waiting for another command that changes the cluster", file=sys.stderr, flush=True)
                    told = True
                if time.monotonic() >= deadline:
                    raise ClusterError(f"another command holds {file} for more than {timeout:.0f} s") from None
                time.sleep(_POLL_SECONDS)
        yield
