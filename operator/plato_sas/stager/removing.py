"""Remove what a module left, however deeply nested and whatever its modes."""

import errno
import os
from pathlib import Path

_FOLDER = os.O_DIRECTORY | os.O_CLOEXEC


def remove(path: Path) -> None:
    """Remove a file, a link (not its target) or a folder with its content, if it exists.

    Raises OSError. Links are not followed, even if a module that still runs replaces a folder by one. Nested folders
    are moved up first: a module can nest them deeper than the limits of paths, the stack or open descriptors allow.
    """
    try:
        parent = os.open(path.parent, os.O_RDONLY | _FOLDER)
    except FileNotFoundError:
        return
    try:
        if _unlinked(path.name, parent):
            return
        top = _opened(path.name, parent)
        try:
            while _drained(top, top):
                pass
        finally:
            os.close(top)
        os.rmdir(path.name, dir_fd=parent)
    finally:
        os.close(parent)


def _drained(folder: int, top: int) -> bool:
    """Empty a folder; False if it was empty."""
    found = False
    with os.scandir(folder) as entries:
        for entry in entries:
            found = True
            if _unlinked(entry.name, folder):
                continue
            inner = _opened(entry.name, folder)
            try:
                if folder == top:
                    _drained(inner, top)
                else:
                    os.rename(entry.name, os.urandom(16).hex(), src_dir_fd=folder, dst_dir_fd=top)
            finally:
                os.close(inner)
    return found


def _unlinked(name: str, folder: int) -> bool:
    """Remove a file, a link or an empty folder, even another user's (the kubelet's, say); False if it is not empty."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        pass
    except IsADirectoryError:
        try:
            os.rmdir(name, dir_fd=folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return False
    return True


def _opened(name: str, parent: int) -> int:
    """A descriptor of a folder, made accessible; opened before the mode is set, so that no other's mode is changed."""
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | _FOLDER, dir_fd=parent)
    try:
        held = f"/proc/self/fd/{handle}"
        os.chmod(held, 0o700)
        return os.open(held, os.O_RDONLY | _FOLDER)
    finally:
        os.close(handle)
