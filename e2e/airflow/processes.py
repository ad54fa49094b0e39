"""Long-running processes that outlive the command that started them: start, recognise, stop.

A process is started as the leader of a session of its own, and its pid file keeps its start time and executable. It is
taken for ours only while both still match, so a pid that was given to another program in the meantime is left alone.
What a dead leader leaves behind is known by its session, executable and working folder.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

_POLL_SECONDS = 0.05


class ProcessError(Exception):
    """A process could not be started or stopped."""


@dataclass(frozen=True)
class Identity:
    """What tells one process from every other: its pid, when it started (clock ticks since boot), what it runs."""

    pid: int
    started: int
    executable: str


@dataclass(frozen=True)
class _Seen:
    started: int
    session: int
    zombie: bool


def _see(pid: int) -> _Seen | None:
    """Fields of proc_pid_stat(5); the name in brackets may hold spaces, so counting begins behind it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return _Seen(started=int(fields[19]), session=int(fields[3]), zombie=fields[0] in "ZX")


def _link(pid: int, name: str) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return None


@dataclass(frozen=True)
class Daemon:
    """One process of ours. `folder` holds its pid file and log; it is also its working folder."""

    name: str
    folder: Path

    @property
    def pid_file(self) -> Path:
        return self.folder / f"{self.name}.json"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def recorded(self) -> Identity | None:
        try:
            return Identity(**json.loads(self.pid_file.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def running(self) -> bool:
        recorded = self.recorded()
        return recorded is not None and _is(recorded)

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start `command`, its output going to the log. Raises ProcessError when it cannot be started."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            try:
                process = subprocess.Popen(
                    command,
                    cwd=self.folder,
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise ProcessError(f"{self.name}: cannot start {command[0]}: {error}") from error
        seen, executable = _see(process.pid), _link(process.pid, "exe")
        if seen is None or executable is None:
            raise ProcessError(f"{self.name}: ended at once; its output is in {self.log}")
        self.pid_file.write_text(json.dumps(asdict(Identity(process.pid, seen.started, executable))))

    def members(self) -> list[int]:
        """The pids of the process and of all that it started and that is still there."""
        recorded = self.recorded()
        if recorded is None:
            return []
        leader = _see(recorded.pid)
        if leader is not None and leader.started != recorded.started:
            return []  # the pid is another program's now, and so is a session of that number
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            pid = int(entry.name)
            seen = _see(pid)
            if seen is None or seen.zombie or seen.session != recorded.pid or seen.started < recorded.started:
                continue
            if _link(pid, "exe") == recorded.executable and self._works_here(pid):
                found.append(pid)
        return found

    def _works_here(self, pid: int) -> bool:
        where = _link(pid, "cwd")
        return where is not None and Path(where) == self.folder.resolve()

    def tail(self, lines: int = 15) -> str:
        """The last lines of the log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


def _is(identity: Identity) -> bool:
    seen = _see(identity.pid)
    return (
        seen is not None
        and not seen.zombie
        and seen.started == identity.started
        and _link(identity.pid, "exe") == identity.executable
    )


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
    """Ask the processes to end, then end what is left after `grace_seconds`, and forget them.

    Raises ProcessError if one survives even that.
    """
    for sent, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 10.0)):
        for daemon in daemons:
            recorded = daemon.recorded()
            leader = recorded.pid if recorded and _is(recorded) else None
            # The leader tells its children; they are signalled here only when it cannot.
            targets = [leader] if leader and sent == signal.SIGTERM else daemon.members()
            for pid in targets:
                _signal(pid, sent)
        until = time.monotonic() + seconds
        while any(daemon.members() for daemon in daemons) and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
    alive = {daemon.name: daemon.members() for daemon in daemons if daemon.members()}
    if alive:
        raise ProcessError(f"still running after SIGKILL: {alive}")
    for daemon in daemons:
        daemon.pid_file.unlink(missing_ok=True)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
    # A child of this very process stays a zombie until it is waited for.
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
