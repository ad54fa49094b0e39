"""Bringing a finished folder to its place in the product tree in one instant."""

import errno
import os
from pathlib import Path

from plato_sas.stager.files import sync_folder
from plato_sas.stager.removing import remove

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def move_into_place(source: Path, target: Path) -> None:
    """Make a step visible in one instant, in the place of an older one if there is one. Raises OSError."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        _exchange(source, target)
    sync_folder(target.parent)
    clear_up(source)


def clear_up(source: Path) -> None:
    """Remove the older folder that `move_into_place` has replaced; a run that was killed may have left it."""
    remove(source)
    remove(_aside(source))


def _aside(source: Path) -> Path:
    return source.with_name(f".{source.name}.replaced")


def _exchange(source: Path, target: Path) -> None:
    """Swap two folders atomically (Linux renameat2); where the file system cannot, replace one in two renames."""
    import ctypes  # a first publication does not need it

    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is not None:
        result = renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_EXCHANGE)
        if result == 0:
            return
        if ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(target))
    aside = _aside(source)
    remove(aside)
    os.rename(target, aside)
    os.rename(source, target)
