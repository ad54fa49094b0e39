"""The processes of a cluster's components: recorded by name, found by command, ended for certain."""

import os
import select
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from e2e.processes.record import ProcessRecord, arguments, observe, pids, reap, start


def find(command: Sequence[str]) -> list[ProcessRecord]:
    """The processes that run exactly this command: those of a run that died before it could record them.

    The commands name the files of one cluster, so that no other program has the same.
    """
    return [seen for pid in pids() if arguments(pid) == [*command] and (seen := observe(pid))]


class ProcessTable:
    """The records in one folder, by component name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def running(self, name: str) -> ProcessRecord | None:
        """The running process of that name."""
        record = ProcessRecord.read(self._file(name))
        return record if record is not None and record.alive() else None

    def start(
        self, name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str], folder: Path
    ) -> ProcessRecord:
        """Start `command` in a session of its own, its output appended to `log`, and record it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        record = start(command, log=log, environment=environment, folder=folder)
        record.write(self._file(name))
        return record

    def stop(self, name: str, *, grace_seconds: float, first: signal.Signals = signal.SIGTERM) -> bool:
        """End the process: `first`, then SIGKILL after `grace_seconds`. False if none ran. Raises TimeoutError."""
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
    reap(record.pid)
