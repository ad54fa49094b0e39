"""Processes that outlive the command that started them, and that are never mistaken for another's.

A record beside each process holds its pid, its start time and its executable. The kernel gives a pid anew only to a
process with a later start time, so a record whose three facts still hold names the process that was started here.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_DELETED = " (deleted)"  # what the kernel appends when the file of a running program was replaced
_TICKS = os.sysconf("SC_CLK_TCK")


def boot_id() -> str:
    """The identity of this boot of the machine."""
    return _BOOT_ID.read_text().strip()


@dataclass(frozen=True)
class ProcessRecord:
    """A process that was started here."""

    pid: int
    start_ticks: int
    """Clock ticks after boot (field 22 of /proc/PID/stat, proc(5))."""
    executable: str
    boot: str
    started_at: float
    """Unix time, seconds."""

    def alive(self) -> bool:
        """Whether that very process still runs."""
        if self.boot != boot_id():
            return False
        seen = _observe(self.pid)
        return seen is not None and seen == (self.start_ticks, self.executable)


def _observe(pid: int) -> tuple[int, str] | None:
    """Start ticks and executable of a running process; None if there is none, or a dead one nobody waited for."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        executable = os.readlink(f"/proc/{pid}/exe").removesuffix(_DELETED)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else (int(fields[18]), executable)


def find(command: Sequence[str]) -> list[ProcessRecord]:
    """The processes that run exactly this command: those of a run that died before it could record them.

    The commands name the files of one cluster, so that no other program has the same.
    """
    arguments = b"".join(argument.encode() + b"\0" for argument in command)
    found: list[ProcessRecord] = []
    for entry in Path("/proc").iterdir():
        try:
            if not entry.name.isdigit() or (entry / "cmdline").read_bytes() != arguments:
                continue
        except OSError:
            continue  # it ended meanwhile
        if (seen := _observe(int(entry.name))) is not None:
            found.append(ProcessRecord(int(entry.name), seen[0], seen[1], boot_id(), time.time()))
    return found


def uptime_seconds(record: ProcessRecord) -> float:
    """Seconds since the process started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - record.start_ticks / _TICKS


class ProcessTable:
    """The records in one folder, by component name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def running(self, name: str) -> ProcessRecord | None:
        """The running process of that name. A record that does not fit, or that was half written, names none."""
        try:
            record = ProcessRecord(**json.loads(self._file(name).read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return record if record.alive() else None

    def start(
        self, name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str], folder: Path
    ) -> ProcessRecord:
        """Start `command` in a session of its own, its output appended to `log`, and record it."""
        self._folder.mkdir(parents=True, exist_ok=True)
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
        # It is not waited for by this object: it outlives this program, and stop() reaps it if it is still our child.
        process.returncode = 0
        seen = _observe(process.pid)
        if seen is None:
            seen = (0, command[0])
        record = ProcessRecord(process.pid, seen[0], seen[1], boot_id(), time.time())
        partial = self._file(name).with_suffix(".new")
        partial.write_text(json.dumps(asdict(record)))
        partial.replace(self._file(name))
        return record

    def stop(self, name: str, *, grace_seconds: float, first: signal.Signals = signal.SIGTERM) -> bool:
        """End the process: `first`, then SIGKILL after the grace. False if none ran. Raises TimeoutError."""
        record = self.running(name)
        if record is not None:
            end(record, grace_seconds=grace_seconds, first=first)
        self._file(name).unlink(missing_ok=True)
        return record is not None


def end(record: ProcessRecord, *, grace_seconds: float, first: signal.Signals = signal.SIGTERM) -> None:
    """End that very process and wait until it is gone. Raises TimeoutError if SIGKILL did not end it either."""
    try:
        descriptor = os.pidfd_open(record.pid)
    except ProcessLookupError:
        return
    try:
        # The descriptor holds on to one process: checked after it was opened, no other can take the pid in between.
        if not record.alive():
            return
        for sent, patience in ((first, grace_seconds), (signal.SIGKILL, 30.0)):
            try:
                signal.pidfd_send_signal(descriptor, sent)
            except ProcessLookupError:
                break
            if select.select([descriptor], [], [], patience)[0]:
                break
        else:
            raise TimeoutError(f"process {record.pid} ({record.executable}) did not end after SIGKILL")
    finally:
        os.close(descriptor)
    with contextlib.suppress(ChildProcessError):  # started by an earlier command: whoever adopted it reaps it
        os.waitpid(record.pid, os.WNOHANG)
