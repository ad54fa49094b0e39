"""Processes that run on, such as Airflow's: start, recognise, stop.

Each is the leader of a session of its own. What a dead leader leaves behind is recognised by its session, executable
and working folder.
"""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from e2e.processes.record import ProcessRecord, boot_id, observe, pids, reap, start

_POLL_SECONDS = 0.05


class ProcessError(Exception):
    """A process could not be started or stopped."""


@dataclass(frozen=True)
class Daemon:
    """One long-running process. `folder` holds its pid file and log; it is also its working folder."""

    name: str
    folder: Path

    @property
    def pid_file(self) -> Path:
        return self.folder / f"{self.name}.json"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def recorded(self) -> ProcessRecord | None:
        return ProcessRecord.read(self.pid_file)

    def running(self) -> bool:
        recorded = self.recorded()
        return recorded is not None and recorded.alive()

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start `command`, its output going to a new log. Raises ProcessError when it cannot be started."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)
        try:
            record = start(command, log=self.log, environment=environment, folder=self.folder)
        except OSError as error:
            raise ProcessError(f"{self.name}: cannot start {command[0]}: {error}") from error
        if not record.alive():
            raise ProcessError(f"{self.name}: ended at once; its output is in {self.log}")
        record.write(self.pid_file)

    def members(self) -> list[int]:
        """The pids of the process and of all that it started and that is still there."""
        recorded = self.recorded()
        if recorded is None or recorded.boot != boot_id():
            return []
        leader = observe(recorded.pid)
        if leader is not None and leader.start_ticks != recorded.start_ticks:
            return []  # the pid is another program's now, and so is a session of that number
        return [pid for pid in pids() if self._left_by(recorded, pid)]

    def _left_by(self, leader: ProcessRecord, pid: int) -> bool:
        try:
            if os.getsid(pid) != leader.pid or Path(os.readlink(f"/proc/{pid}/cwd")) != self.folder.resolve():
                return False
        except OSError:
            return False  # it ended meanwhile
        seen = observe(pid)
        return seen is not None and seen.executable == leader.executable and seen.start_ticks >= leader.start_ticks

    def tail(self, lines: int = 15) -> str:
        """The last lines of the log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


def resident_bytes(pids: Sequence[int]) -> int:
    """Memory of the processes, shared pages counted once (Pss of proc_pid_smaps_rollup(5))."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def stop(daemons: Sequence[Daemon], grace_seconds: float) -> None:
    """Ask the processes to end, kill what is left after `grace_seconds`, and delete their records.

    Raises ProcessError if one survives even that.
    """
    for sent, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 10.0)):
        for daemon in daemons:
            recorded = daemon.recorded()
            leader = recorded.pid if recorded and recorded.alive() else None
            # The leader ends its own children; they are signalled here only if it cannot.
            targets = [leader] if leader and sent == signal.SIGTERM else daemon.members()
            for pid in targets:
                with suppress(ProcessLookupError):
                    os.kill(pid, sent)
        until = time.monotonic() + seconds
        while any(daemon.members() for daemon in daemons) and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
    alive = {daemon.name: daemon.members() for daemon in daemons if daemon.members()}
    if alive:
        raise ProcessError(f"still running after SIGKILL: {alive}")
    for daemon in daemons:
        if (recorded := daemon.recorded()) is not None:
            reap(recorded.pid)
        daemon.pid_file.unlink(missing_ok=True)
