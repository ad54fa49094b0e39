"""Processor time and memory of the platform's processes, from proc(5)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.processes.record import arguments, pids, pod_of

_TICKS = os.sysconf("SC_CLK_TCK")
_PLATFORM = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "containerd",
    "kwok",
)
_OPERATOR = "plato_sas.controller"


def role(command: list[str]) -> str | None:
    """Which part of the platform a command is; None for any other program."""
    if not command:
        return None
    program = Path(command[0]).name
    if program in _PLATFORM:
        return program
    return "operator" if _OPERATOR in command[:4] else None


def seconds(pid: int, *, children: bool = False) -> float:
    """Processor seconds of a process so far, with `children` also of its ended children; 0 once it has ended itself."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    fields = stat.rpartition(")")[2].split()
    return sum(int(one) for one in fields[11 : 15 if children else 13]) / _TICKS


def family_seconds(pid: int) -> float:
    """Processor time of a process, of its children, and of those that have ended."""
    living = [one for one in pids() if one == pid or _parent(one) == pid]
    return sum(seconds(one, children=True) for one in living)


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def resident(pid: int) -> int:
    """Resident memory of a process in bytes; 0 if it has ended."""
    return _status(pid, "VmRSS")


def peak(pid: int) -> int:
    """The largest resident memory that a process has had, in bytes; 0 if it has ended."""
    return _status(pid, "VmHWM")


def _status(pid: int, key: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:")), 0)


def operator_pid(pod_uid: str) -> int | None:
    """The operator's process in a pod, if it runs."""
    for pid in pids():
        if role(arguments(pid)) == "operator" and pod_of(pid) == pod_uid:
            return pid
    return None


@dataclass(frozen=True)
class Usage:
    """Processor time by part of the platform."""

    by_pid: Mapping[int, tuple[str, float]]

    @classmethod
    def take(cls) -> "Usage":
        """Now. This program and what it runs are `bench`."""
        found = {}
        for pid in pids():
            name = "bench" if pid == os.getpid() else role(arguments(pid))
            if name is not None:
                found[pid] = (name, seconds(pid))
        return cls(found)

    def since(self, before: "Usage") -> dict[str, float]:
        """Seconds used since an earlier look, by part; a process that ended in between is not counted."""
        used: dict[str, float] = {}
        for pid, (name, total) in self.by_pid.items():
            known = before.by_pid.get(pid)
            used[name] = used.get(name, 0.0) + total - (known[1] if known and known[0] == name else 0.0)
        return dict(sorted(used.items()))
