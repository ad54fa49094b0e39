"""The product tree as a reader sees it: what is in it at the end, and what appeared in it meanwhile."""

import hashlib
import json
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from e2e.chaos.judge import FolderSeen, Publication

_MANIFEST = "manifest.json"
_PERIOD_SECONDS = 0.1
_SOURCE = "the product tree"


def folders(campaign: Path) -> tuple[FolderSeen, ...]:
    """Every entry of every star's folder that is not hidden, checked against its manifest."""
    return tuple(_check(folder) for folder in _visible(campaign))


def _visible(campaign: Path) -> Iterator[Path]:
    for star in sorted(campaign.iterdir()) if campaign.is_dir() else ():
        if star.is_dir() and not star.name.startswith("."):
            yield from (step for step in sorted(star.iterdir()) if not step.name.startswith("."))


def _check(folder: Path) -> FolderSeen:
    star, step = folder.parent.name, folder.name
    if folder.is_symlink() or not folder.is_dir():
        return FolderSeen(star, step, None, "is no folder")
    try:
        manifest = json.loads((folder / _MANIFEST).read_text())
        digest, outputs = str(manifest["digest"]), manifest["outputs"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return FolderSeen(star, step, None, f"has no readable {_MANIFEST}: {error}")
    troubles = [trouble for name, output in outputs.items() if (trouble := _file_trouble(folder, name, output))]
    known = {_MANIFEST, *(str(output["path"]).partition("/")[0] for output in outputs.values())}
    troubles += [f"{entry.name} is not in the manifest" for entry in folder.iterdir() if entry.name not in known]
    return FolderSeen(star, step, digest, "; ".join(troubles[:5]))


def _file_trouble(folder: Path, name: str, output: dict[str, Any]) -> str:
    file = folder / output["path"]
    try:
        found = file.lstat()
        if not stat.S_ISREG(found.st_mode):
            return f"output {name} is no regular file"
        if found.st_size != output["size"]:
            return f"output {name} has {found.st_size} bytes, not {output['size']}"
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        return f"output {name}: {error.strerror}"
    return "" if digest == output["sha256"] else f"output {name} has SHA-256 {digest}, not {output['sha256']}"


class TreeWatch:
    """Looks at the tree ten times a second. A context manager; each folder's identity is its inode and its manifest."""

    def __init__(self, campaign: Path) -> None:
        self._campaign = campaign
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tree-watch", daemon=True)
        self._known: dict[Path, tuple[int, int]] = {}
        self._publications: list[Publication] = []
        self._glimpses: dict[Path, FolderSeen] = {}

    def __enter__(self) -> "TreeWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Look a last time, then stop."""
        if not self._done.is_set():
            self._done.set()
            self._thread.join()
            self._look()

    @property
    def publications(self) -> tuple[Publication, ...]:
        return tuple(self._publications)

    @property
    def glimpses(self) -> tuple[FolderSeen, ...]:
        return tuple(self._glimpses.values())

    def _run(self) -> None:
        while not self._done.wait(_PERIOD_SECONDS):
            self._look()

    def _look(self) -> None:
        # A star's folder may come or go between two system calls.
        with suppress(FileNotFoundError):
            for folder in _visible(self._campaign):
                self._look_at(folder)

    def _look_at(self, folder: Path) -> None:
        try:
            identity = (folder.lstat().st_ino, (folder / _MANIFEST).stat().st_mtime_ns)
            if self._known.get(folder) == identity:
                return
            attempt = json.loads((folder / _MANIFEST).read_text())["attemptId"]
            if (folder.lstat().st_ino, (folder / _MANIFEST).stat().st_mtime_ns) != identity:
                return  # replaced while we looked: the next look sees the new one
        except (OSError, ValueError, KeyError) as error:
            # A folder without a manifest, if the folder was not just replaced or (a clean-up) removed as a whole.
            again = _check(folder) if folder.is_dir() else None
            if again is not None and again.digest is None:
                what = f"was visible without a manifest: {error}"
                self._glimpses[folder] = FolderSeen(folder.parent.name, folder.name, None, what)
            return
        self._known[folder] = identity
        evidence = f"{attempt}, inode {identity[0]}"
        self._publications.append(Publication(folder.parent.name, folder.name, _SOURCE, evidence))
