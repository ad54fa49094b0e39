"""Putting the inputs of a star on a volume, so that a file is there whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path


def place_input(path: Path, write: Callable[[Path], None]) -> bool:
    """Make the file `path` with `write`; returns False, and leaves it alone, when it has that content.

    `write` gets a draft's path in the same folder, which then takes the name in one step.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(draft)
        if path.is_file() and path.read_bytes() == draft.read_bytes():
            return False
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(draft, path)
        return True
    finally:
        draft.unlink(missing_ok=True)
