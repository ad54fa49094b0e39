"""Put a finished folder into its place in the product tree atomically."""

import errno
import os
from pathlib import Path

from plato_sas.stager.files import sync_folder
from plato_sas.stager.removing import remove

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def move_into_place(source: Path, target: Path) -> None:
    """Make a step visible atomically, replacing an older one. Raises OSError."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        _exchange(source, target)
    sync_folder(target.parent)
    clear_up(source)


def clear_up(source: Path) -> None:
    """Remove the folder that `move_into_place` replaced, perhaps in an earlier run that was killed."""
    remove(source)
    remove(_aside(source))


def _aside(source: Path) -> Path:
    return source.with_name(f".{source.name}.replaced")


def _exchange(source: Path, target: Path) -> None:
    """Swap two folders atomically (Linux renameat2), or in two renames if the file system cannot."""
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
