"""Builds what is out of date: bases first, a few images at a time, every result an archive in the index."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from e2e.images import index
from e2e.images.engine import Engine
from e2e.images.sources import Image, fingerprints, with_bases
from e2e.processes.command import CommandFailed, stop_all
from e2e.processes.locking import LockTimeout, exclusive

_LOCK_TIMEOUT = 3600.0


class Builder:
    """Builds images with `engine` and keeps archives, logs and the index in `folder`."""

    def __init__(self, images: dict[str, Image], engine: Engine, folder: Path, report: Callable[[str], None]) -> None:
        self._images = images
        self._engine = engine
        self._folder = folder
        self._report = report
        self._started = time.monotonic()
        self._index_lock = threading.Lock()

    def build(self, names: list[str], jobs: int) -> dict[str, index.Entry]:
        """Build the named images where they are out of date; returns the index. Raises `CommandFailed`."""
        with exclusive_build(self._folder, self._report):
            chosen = with_bases(self._images, names)
            marks = fingerprints(chosen, self._engine.debian_fingerprint())
            stale = [name for name in chosen if name in names and not self._current(chosen[name], marks[name])]
            if stale:
                self._say(f"engine {self._engine.name}; out of date: {', '.join(stale)}")
                try:
                    self._engine.prepare()
                    self._run(self._work(chosen, stale, marks), marks, jobs)
                except BaseException:
                    self._engine.clean()
                    raise
            for name in names:
                if name not in stale:
                    self._say(f"{name}: up to date")
            self._prune()
            return index.read(self._index)

    @property
    def _index(self) -> Path:
        return self._folder / "index.json"

    def _current(self, image: Image, fingerprint: str) -> bool:
        if image.base:
            return self._engine.built_fingerprint(image) == fingerprint
        entry = index.read(self._index).get(image.name)
        return (
            entry is not None
            and (entry.fingerprint, entry.engine) == (fingerprint, self._engine.name)
            and (self._folder / entry.archive).is_file()
        )

    def _work(self, chosen: dict[str, Image], stale: list[str], marks: dict[str, str]) -> dict[str, Image]:
        """The stale images and those of their bases that the engine does not have."""
        needed = with_bases(chosen, stale)
        return {name: image for name, image in needed.items() if name in stale or not self._current(image, marks[name])}

    def _run(self, work: dict[str, Image], marks: dict[str, str], jobs: int) -> None:
        """Build `work`, each image after its bases, `jobs` at once; after a failure start nothing new."""
        running: dict[Future[None], str] = {}
        with ThreadPoolExecutor(jobs) as pool:
            try:
                failures = self._run_in(pool, running, dict(work), marks, jobs)
            except BaseException:
                # Again and again: a thread may be about to start its program.
                while wait(running, timeout=0.2).not_done:
                    stop_all()
                raise
        if failures:
            raise CommandFailed("\n".join(failures))

    def _run_in(
        self,
        pool: ThreadPoolExecutor,
        running: dict[Future[None], str],
        waiting: dict[str, Image],
        marks: dict[str, str],
        jobs: int,
    ) -> list[str]:
        failures: list[str] = []
        while running or (waiting and not failures):
            unfinished = {*waiting, *running.values()}
            for name, image in list(waiting.items()):
                if failures or len(running) >= jobs or unfinished.intersection(image.own_bases()):
                    continue
                running[pool.submit(self._make, image, marks[name])] = name
                del waiting[name]
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                name = running.pop(future)
                if (error := future.exception()) is not None:
                    if not isinstance(error, CommandFailed | OSError):
                        raise error
                    failures.append(f"{name}: {error}")
                    self._say(f"{name}: FAILED")
        return failures

    def _make(self, image: Image, fingerprint: str) -> None:
        started = time.monotonic()
        self._say(f"{image.name}: building")
        log = self._folder / "logs" / f"{image.name}.log"
        log.unlink(missing_ok=True)
        self._engine.build(image, fingerprint, log)
        if image.base:
            self._say(f"{image.name}: built in {time.monotonic() - started:.0f} s")
            return
        archive = self._folder / f"{image.name}-{fingerprint[:12]}.tar"
        draft = archive.with_suffix(".part")
        draft.unlink(missing_ok=True)
        digest = self._engine.save(image, draft, log)
        os.replace(draft, archive)
        self._record(image, fingerprint, archive, digest)
        size = archive.stat().st_size / 1e6
        self._say(f"{image.name}: built in {time.monotonic() - started:.0f} s, {size:.0f} MB")

    def _record(self, image: Image, fingerprint: str, archive: Path, digest: str) -> None:
        with self._index_lock:
            entries = index.read(self._index)
            entries[image.name] = index.Entry(image.reference, fingerprint, self._engine.name, archive.name, digest)
            index.write(self._index, entries)

    def _prune(self) -> None:
        """Remove archives that the index does not name, and entries of images that no longer exist."""
        entries = {n: entry for n, entry in index.read(self._index).items() if n in self._images}
        index.write(self._index, entries)
        kept = {entry.archive for entry in entries.values()}
        for archive in [*self._folder.glob("*.tar"), *self._folder.glob("*.part")]:
            if archive.name not in kept:
                archive.unlink()

    def _say(self, text: str) -> None:
        self._report(f"[{time.monotonic() - self._started:5.0f} s] {text}")


@contextmanager
def exclusive_build(folder: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock file of `folder`, so that two builds do not meet. Raises `CommandFailed` after an hour."""
    lock = folder / "lock"
    try:
        # Inheritable: if a build is killed, the programs that it started hold the lock until they end.
        with exclusive(
            lock, timeout=_LOCK_TIMEOUT, waiting="waiting for another build to end", report=report, inheritable=True
        ):
            yield
    except LockTimeout as error:
        raise CommandFailed(str(error)) from None
