"""Programs that are run to their end, in bounded time."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

_running: set[int] = set()
_running_lock = threading.Lock()


class CommandFailed(Exception):
    """A program failed or was too slow; the message ends with the last lines of its output."""


def run_logged(
    command: Sequence[str], log: Path, *, timeout: float, environment: Mapping[str, str] | None = None
) -> None:
    """Append the program's output to `log`. Raises `CommandFailed`; leaves none of its processes behind."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
            # The build's lock is inherited: if this process is killed, its orphans hold the lock until they end.
            close_fds=False,
        )
        with _running_lock:
            _running.add(process.pid)
        try:
            code = process.wait(timeout)
        except BaseException as error:
            _kill(process.pid)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise CommandFailed(f"{command[0]}: no end after {timeout:.0f} s\n{_tail(log)}") from error
            raise
        finally:
            with _running_lock:
                _running.discard(process.pid)
    if code != 0:
        raise CommandFailed(f"{command[0]}: exit code {code}\n{_tail(log)}")


def stop_all() -> None:
    """Kill every program that `run_logged` is running, in any thread; those calls then fail."""
    with _running_lock:
        for pid in _running:
            _kill(pid)


def run_text(command: Sequence[str], *, timeout: float = 60) -> str | None:
    """The program's standard output, or None if it fails, is not there or is too slow."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _tail(log: Path, lines: int = 30) -> str:
    text = log.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join(["  | " + line for line in text] + [f"  (all of it in {log})"])
