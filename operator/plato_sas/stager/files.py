"""Read and write files so that a crash, a symbolic link or a half-written file does no harm."""

import errno
import hashlib
import json
import os
import stat
import time
from pathlib import Path
from typing import Any

_BLOCK = 1 << 20
# The errors of open for a link, a socket, a folder, a path through a file, and an unreadable file. All others are the
# volume's.
_NO_FILE = frozenset({errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENOTDIR, errno.EACCES})


class NotAFile(Exception):
    """A path is not a regular file."""


def open_regular(path: Path) -> int:
    """A read-only descriptor of a regular file. Links are not followed, since a module could have made one.

    Raises FileNotFoundError, NotAFile, or another OSError if the volume is at fault (a stale handle, an I/O error).
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        raise NotAFile(f"{path.name} cannot be opened as a regular file: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotAFile(f"{path.name} is not a regular file")
    return descriptor


def identity(descriptor: int) -> list[int]:
    """Numbers of an open file that change if it is written to or replaced; the same on every node."""
    status = os.fstat(descriptor)
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def sha256(descriptor: int) -> str:
    """The hex SHA-256 of an open file, read from its beginning."""
    digest = hashlib.sha256()
    os.lseek(descriptor, 0, os.SEEK_SET)
    while block := os.read(descriptor, _BLOCK):
        digest.update(block)
    return digest.hexdigest()


def copy_regular(source: Path, target: Path, durable: bool = False) -> str:
    """Copy a regular file to a new one that everybody may read; returns the hex SHA-256 of the content.

    Raises as `open_regular`, and OSError if the copy cannot be written.
    """
    digest = hashlib.sha256()
    with open(open_regular(source), "rb") as file, target.open("xb") as copy:
        while block := file.read(_BLOCK):
            digest.update(block)
            copy.write(block)
        os.fchmod(copy.fileno(), 0o444)
        copy.flush()
        if durable:
            os.fsync(copy.fileno())
    return digest.hexdigest()


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def canonical(document: Any) -> str:
    """Canonical JSON for digests: sorted keys, no spaces."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def write_durably(path: Path, text: str) -> None:
    """Write a small file and bring it to the disk."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def timestamp() -> str:
    """Now, in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
