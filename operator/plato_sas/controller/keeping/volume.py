"""Open folders of the products volume without following links, since other programs write there too."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MODE = 0o755
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@contextmanager
def open_folder(root: Path, *parts: str) -> Iterator[int]:
    """A descriptor of a folder below the volume's root, created durably if missing.

    Raises OSError (NotADirectoryError or ELOOP for a link), and ValueError for a name that is not a plain one.
    """
    for part in parts:
        if part in ("", ".", "..") or "/" in part or "\0" in part:
            raise ValueError(f"{part!r} is not the name of a folder")
    descriptor = os.open(root, _FLAGS)
    try:
        for part in parts:
            below = _enter(descriptor, part)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def _enter(parent: int, name: str) -> int:
    try:
        return os.open(name, _FLAGS | os.O_NOFOLLOW, dir_fd=parent)
    except FileNotFoundError:
        try:
            os.mkdir(name, _MODE, dir_fd=parent)
        except FileExistsError:
            pass  # created by another process just now
        else:
            os.fsync(parent)
    return os.open(name, _FLAGS | os.O_NOFOLLOW, dir_fd=parent)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all data, although a full volume may take only a part at first. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
