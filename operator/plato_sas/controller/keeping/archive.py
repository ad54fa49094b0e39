"""The archive: one line of JSON on the products volume for each star, written before the star is deleted.

As a command it prints a campaign's records as a table.
"""

import argparse
import asyncio
import json
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from plato_sas.api import Document
from plato_sas.controller import metrics
from plato_sas.controller.keeping.volume import open_folder, write_all

FOLDER = ".archive"
_SUFFIX = ".jsonl"
_MODE = 0o644
_PATIENCE = 60.0  # seconds; a volume that hangs must not block a star for ever
_SUCCEEDED = "Succeeded"


class ArchiveError(Exception):
    """The record may not be on the disk (full or read-only volume, for example): try again later."""


class Archive:
    """Appends to `<products>/.archive/<campaign>.jsonl`. Records that wait at the same time share one fsync."""

    def __init__(self, products: Path, *, patience: float = _PATIENCE) -> None:
        self._products = products
        self._patience = patience
        self._waiting: list[tuple[str, bytes, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def append(self, campaign: str, record: Document) -> None:
        """Return once the record is on the disk. Raises ArchiveError; after a retry the record may be there twice."""
        line = json.dumps(record, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((campaign, line, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_waiting())
        try:
            await asyncio.wait_for(done, self._patience)
        except (OSError, ValueError) as error:  # TimeoutError is an OSError
            metrics.ARCHIVE_ERRORS.inc()
            raise ArchiveError(f"{FOLDER}/{campaign}{_SUFFIX}: {str(error) or 'the volume does not answer'}") from error
        metrics.ARCHIVED.inc()

    async def _write_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            by_campaign: dict[str, list[tuple[bytes, asyncio.Future[None]]]] = {}
            for campaign, line, done in batch:
                if not done.done():  # else its caller has given up
                    by_campaign.setdefault(campaign, []).append((line, done))
            for campaign, entries in by_campaign.items():
                error: Exception | None = None
                try:
                    await asyncio.to_thread(self._write, campaign, b"".join(line for line, _ in entries))
                except (OSError, ValueError) as caught:
                    error = caught
                for _, done in entries:
                    if not done.done():
                        done.set_exception(error) if error is not None else done.set_result(None)

    def _write(self, campaign: str, lines: bytes) -> None:
        name = campaign + _SUFFIX
        with open_folder(self._products, FOLDER) as folder:
            descriptor, new = _open(name, folder)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise OSError(f"{name} is not a regular file")
                if _torn(descriptor):
                    lines = b"\n" + lines
                write_all(descriptor, lines)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if new:
                os.fsync(folder)


def _open(name: str, folder: int) -> tuple[int, bool]:
    """A descriptor for appending, and whether the file is new."""
    if "/" in name or "\0" in name or name.startswith("."):
        raise ValueError(f"{name!r} is not the name of a file")
    flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=folder), False
    except FileNotFoundError:
        return os.open(name, flags | os.O_CREAT, _MODE, dir_fd=folder), True


def _torn(descriptor: int) -> bool:
    """Whether the last line was cut off by a crash or a full volume."""
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


def read(path: Path) -> Iterator[Document]:
    """The records of a file: the last of each uid, in the order of writing; torn lines are skipped.

    The file is read twice, so that memory does not grow with the size of the records.
    """
    last = {uid: number for number, uid, _ in _lines(path)}
    for number, uid, document in _lines(path):
        if last.get(uid) == number:
            yield document


def _lines(path: Path) -> Iterator[tuple[int, str, Document]]:
    with path.open("rb") as file:
        for number, line in enumerate(file):
            try:
                document = json.loads(line)
            except ValueError:
                continue
            if isinstance(document, dict) and isinstance(document.get("uid"), str):
                yield number, document["uid"], document


_HEADINGS = ("STAR", "STATE", "STEPS", "FINISHED", "TOOK", "WHY")
_WELL = ("Succeeded", "Reused", "Skipped")


def _row(one: Document) -> tuple[str, ...]:
    status = one.get("status", {})
    steps = status.get("steps", [])
    well = sum(step.get("state") in _WELL for step in steps)
    failed = next((step for step in steps if step.get("state") == "Failed"), None)
    why = f"{failed['name']}: {failed.get('reason') or 'failed'}" if failed else ""
    if not why and status.get("state") == "Rejected":
        why = next((c.get("reason", "") for c in status.get("conditions", []) if c.get("type") == "Accepted"), "")
    return (
        str(one.get("spec", {}).get("star", one.get("name", "?"))),
        str(status.get("state", "?")),
        f"{well}/{len(steps)}",
        str(status.get("finishedAt") or "-"),
        _took(status.get("startedAt"), status.get("finishedAt")),
        why,
    )


def _took(started: str | None, finished: str | None) -> str:
    if not started or not finished:
        return "-"
    seconds = round((datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds())
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"


def _print_table(rows: Iterator[tuple[str, ...]]) -> None:
    """Print line by line in fixed widths, so that a long file is never held in memory."""
    layout = "{:<16}  {:<10}  {:>7}  {:<20}  {:>9}  {}"
    print(layout.format(*_HEADINGS))
    for row in rows:
        print(layout.format(*row).rstrip())


def _print_steps(one: Document) -> None:
    for step in one.get("status", {}).get("steps", []):
        reason = f"  {step['reason']}" if step.get("reason") else ""
        code = f" (exit code {step['exitCode']})" if step.get("exitCode") is not None else ""
        print(f"    {step.get('name', '?'):<32}  {step.get('state', '?')}{reason}{code}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m plato_sas.controller.keeping.archive",
        description="Print the archived records of a campaign: <products>/.archive/<campaign>.jsonl.",
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--failed", action="store_true", help="only stars that did not succeed")
    parser.add_argument("--star", metavar="S", help="only this star, with its steps")
    given = parser.parse_args(arguments)

    def wanted(one: Document) -> bool:
        if given.failed and one.get("status", {}).get("state") == _SUCCEEDED:
            return False
        return given.star is None or one.get("spec", {}).get("star") == given.star

    try:
        if given.star is None:
            _print_table(_row(one) for one in read(given.file) if wanted(one))
            return 0
        found = [one for one in read(given.file) if wanted(one)]
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # of `| head`, for example
        return 0
    except OSError as error:
        print(f"error: {given.file}: {error.strerror}", file=sys.stderr)
        return 1
    for one in found:
        _print_table(iter([_row(one)]))
        _print_steps(one)
    if not found:
        print(f"error: no such record of star {given.star!r} in {given.file}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
