"""One command at a time; whoever waits learns for whom."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.layout import REPOSITORY
from e2e.processes.locking import LockTimeout, exclusive

HOLD = """
import sys
from pathlib import Path
from e2e.processes.locking import exclusive
with exclusive(Path(sys.argv[1]), timeout=0, waiting=""):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_who_waits_learns_who_holds_the_lock(tmp_path: Path) -> None:
    lock, reported = tmp_path / "lock", list[str]()
    command = [sys.executable, "-c", HOLD, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        refused = pytest.raises(LockTimeout, match=f"another command holds {lock} .*: pid {holder.pid} of {REPOSITORY}")
        with refused, exclusive(lock, timeout=0, waiting="waiting for it", report=reported.append):
            pass
        holder.communicate(b"\n")
    assert reported == [f"waiting for it: pid {holder.pid} of {REPOSITORY}"]


def test_nobody_is_named_once_the_lock_is_free(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with exclusive(lock, timeout=0, waiting=""):
        assert lock.read_text() == f"pid {os.getpid()} of {REPOSITORY}"
    assert lock.read_text() == ""


def test_a_holder_that_was_killed_is_not_named_for_the_next(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text("pid 1 of /another/checkout, which left this behind")
    with exclusive(lock, timeout=0, waiting=""):
        assert lock.read_text() == f"pid {os.getpid()} of {REPOSITORY}"
