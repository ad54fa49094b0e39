"""Processes that outlive the command that started them, and that are never mistaken for others.

A record holds a process's pid, its start time and its executable. The kernel reuses a pid only for a process with a
later start time, so a record whose facts still hold, in the same boot, names the process that it was made of.
"""

import json
import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

_PROC = Path("/proc")
_DELETED = " (deleted)"  # what the kernel appends when the file of a running program was replaced
_TICKS = os.sysconf("SC_CLK_TCK")
_POD = re.compile(r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})")


def boot_id() -> str:
    """The identity of this boot of the machine."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True)
class ProcessRecord:
    """What distinguishes one process from every other."""

    pid: int
    start_ticks: int
    """Clock ticks after boot (proc_pid_stat(5))."""
    executable: str
    boot: str
    started_at: float = field(compare=False)
    """Unix time, seconds."""

    def alive(self) -> bool:
        """Whether that very process still runs."""
        return observe(self.pid) == self

    @property
    def uptime_seconds(self) -> float:
        """Seconds since the process started."""
        return _uptime(self.start_ticks)

    @classmethod
    def read(cls, file: Path) -> Self | None:
        """The record in that file; None if there is none, or one that is damaged or half written."""
        try:
            return cls(**json.loads(file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write(self, file: Path) -> None:
        """Put the record there, whole or not at all."""
        partial = file.with_suffix(".new")
        partial.write_text(json.dumps(asdict(self)))
        partial.replace(file)


def _uptime(start_ticks: int) -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) - start_ticks / _TICKS


def observe(pid: int) -> ProcessRecord | None:
    """The running process of that pid; None if there is none, or a dead one nobody waited for."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
        executable = os.readlink(_PROC / str(pid) / "exe").removesuffix(_DELETED)
    except OSError:
        return None
    # The second field, the name in brackets, may hold spaces: counting begins behind it.
    state, *fields = stat.rpartition(")")[2].split()
    start_ticks = int(fields[18])
    if state in "ZX":
        return None
    return ProcessRecord(pid, start_ticks, executable, boot_id(), time.time() - _uptime(start_ticks))


def pids() -> list[int]:
    """Every process of this machine."""
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal()]


def arguments(pid: int) -> list[str]:
    """The command that a process runs; empty if it has ended."""
    try:
        return [os.fsdecode(one) for one in (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")[:-1]]
    except OSError:
        return []


def pod_of(pid: int) -> str | None:
    """The uid of the pod that a process runs in, by its control group."""
    try:
        found = _POD.search((_PROC / str(pid) / "cgroup").read_text())
    except OSError:
        return None
    return found[1].replace("_", "-") if found else None


def start(command: Sequence[str], *, log: Path, environment: Mapping[str, str], folder: Path) -> ProcessRecord:
    """Start `command` in a session of its own, its output appended to `log`. Raises OSError if that cannot be done."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # This object does not wait for it: it outlives this program, and is reaped below if it is still our child.
    process.returncode = 0
    # One that has ended at once gets a record that matches no process.
    return observe(process.pid) or ProcessRecord(process.pid, 0, command[0], boot_id(), time.time())


def reap(pid: int) -> None:
    """Forget an ended process if it is our child; one of an earlier command's is reaped by whoever adopted it."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
