"""Keep the logs of Jobs beyond their deletion: `<campaign>/<star>/.logs/<job>.log` on the products volume."""

import asyncio
import logging
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from plato_sas.api import Document
from plato_sas.controller import metrics
from plato_sas.controller.keeping import pod_logs
from plato_sas.controller.keeping.pod_logs import Began
from plato_sas.controller.keeping.volume import open_folder, write_all
from plato_sas.controller.kube.client import ApiError, KubeClient

logger = logging.getLogger(__name__)

FOLDER = ".logs"
_MODE = 0o644
_FLUSH = 1 << 20

_FIRST_PAUSE = 2.0
_LONGEST_PAUSE = 300.0
# About three minutes for a node that reboots; about four hours for an API server, without which nothing else works.
_NODE_TRIES = 7
_SERVER_TRIES = 60
# Statuses that say nothing about the log itself; 0 for no answer.
_SERVER_SILENT = (0, 401, 429, 503)
_NODE_REST = 15.0  # seconds without further requests to a node that did not answer


@dataclass
class _Wanted:
    """A Job whose log is to be kept."""

    processing: str
    folder: PurePosixPath
    job: str
    pods: list[Document]
    node_failures: int = 0
    server_failures: int = 0
    write_failures: int = 0

    @property
    def last_try(self) -> bool:
        return self.node_failures + 1 >= _NODE_TRIES or self.server_failures + 1 >= _SERVER_TRIES


class _Unreadable(Exception):
    """A log cannot be read now."""

    def __init__(self, error: str, *, of_server: bool = False) -> None:
        super().__init__(error)
        self.of_server = of_server


class LogKeeper:
    """Stores the logs of finished Jobs; calls `mark` with the StarProcessing's name once a Job's log is on the disk.

    A log that stays unreadable (its node or pod is gone) counts as kept once the file says so. If the volume rejects
    the file, the keeper retries without limit, at growing intervals. Neither delays other Jobs' logs.
    """

    def __init__(
        self,
        client: KubeClient,
        products: Path,
        mark: Callable[[str], None],
        *,
        max_bytes: int = 1 << 20,
        workers: int = 2,
        first_pause: float = _FIRST_PAUSE,
    ) -> None:
        self._client = client
        self._products = products
        self._mark = mark
        self._max_bytes = max_bytes
        self._workers = workers
        self._first_pause = first_pause
        self._kept: set[str] = set()
        self._wanted: dict[str, _Wanted] = {}
        self._ready: asyncio.Queue[_Wanted] = asyncio.Queue()
        self._resting: dict[str, float] = {}  # by node: until when (monotonic seconds)

    def kept(self, job: Document) -> bool:
        """Whether the Job's log is known to be on the volume; after a restart only once it was requested again."""
        return job["metadata"]["name"] in self._kept

    def request(self, processing_name: str, folder: PurePosixPath, job: Document, pods: list[Document]) -> None:
        """Request that the log of a finished Job be kept in `folder` (`<campaign>/<star>`); idempotent."""
        name = job["metadata"]["name"]
        if name in self._kept or name in self._wanted:
            return
        wanted = self._wanted[name] = _Wanted(processing_name, folder, name, pods)
        metrics.LOGS_WAITING.set(len(self._wanted))
        self._ready.put_nowait(wanted)

    def forget(self, job_name: str) -> None:
        """Forget a Job that is gone, and drop its request."""
        self._kept.discard(job_name)
        self._wanted.pop(job_name, None)
        metrics.LOGS_WAITING.set(len(self._wanted))

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            wanted = await self._ready.get()
            if self._wanted.get(wanted.job) is not wanted:
                continue  # forgotten in the meantime
            pause = await self._try(wanted)
            if pause is not None:
                asyncio.get_running_loop().call_later(pause, self._ready.put_nowait, wanted)
            elif self._wanted.pop(wanted.job, None) is not None:
                self._kept.add(wanted.job)
                metrics.LOGS_WAITING.set(len(self._wanted))
                self._mark(wanted.processing)

    async def _try(self, wanted: _Wanted) -> float | None:
        """Keep a log; None if it is kept, else the seconds until the next try."""
        file = _LogFile(self._products, wanted.folder, wanted.job)
        try:
            if await asyncio.to_thread(file.exists):
                return None
            complete = await self._write(wanted, file)
        except _Unreadable as error:
            await asyncio.to_thread(file.discard)
            metrics.LOG_ERRORS.labels("fetch").inc()
            if error.of_server:
                wanted.server_failures += 1
            else:
                wanted.node_failures += 1
            return self._again(wanted, error, wanted.server_failures + wanted.node_failures)
        except Exception as error:
            # Usually a full or read-only volume. Whatever it is, other Jobs' logs must not wait.
            await asyncio.to_thread(file.discard)
            metrics.LOG_ERRORS.labels("write").inc()
            wanted.write_failures += 1
            return self._again(wanted, error, wanted.write_failures, surprise=not isinstance(error, OSError))
        metrics.LOGS.labels("complete" if complete else "incomplete").inc()
        return None

    def _again(self, wanted: _Wanted, error: Exception, failures: int, *, surprise: bool = False) -> float:
        pause = min(_LONGEST_PAUSE, self._first_pause * 2.0 ** min(failures - 1, 16))
        fields = {"job": wanted.job, "processing": wanted.processing, "error": str(error), "retry_in": pause}
        logger.warning("Log not kept", extra=fields, exc_info=error if surprise else None)
        return pause

    async def _write(self, wanted: _Wanted, file: "_LogFile") -> bool:
        """Write the file; returns whether all logs could be read. Raises _Unreadable, OSError."""
        complete = True
        parts: list[bytes] = []
        for pod in sorted(wanted.pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp"))):
            containers = pod_logs.began(pod)
            for container in containers:
                text, readable = await self._text(wanted, container)
                complete = complete and readable
                parts.append(container.header(len(text)).encode() + b"\n" + text)
                if sum(map(len, parts)) >= _FLUSH:
                    await asyncio.to_thread(file.append, b"".join(parts))
                    parts.clear()
            if not containers:
                parts.append(_nothing_began(pod).encode())
        if not wanted.pods:
            complete = False
            parts.append(f"==== No pod of Job {wanted.job} was found: its log could not be read.\n".encode())
        await asyncio.to_thread(file.commit, b"".join(parts))
        return complete

    async def _text(self, wanted: _Wanted, container: Began) -> tuple[bytes, bool]:
        """A container's log or why there is none, and which of the two. Raises _Unreadable if a retry may help."""
        if container.report is not None:
            return f"{container.report}\n".encode(), True
        try:
            return await self._read(container), True
        except ApiError as error:
            reason, permanent = str(error), error.status == 404  # the pod is gone for good
            of_server = error.status in _SERVER_SILENT
        except _NodeRests as rests:
            reason, permanent, of_server = str(rests), False, False
        if not permanent and not wanted.last_try:
            raise _Unreadable(reason, of_server=of_server)
        return f"[The log could not be read: {reason}]\n".encode(), False

    async def _read(self, container: Began) -> bytes:
        """Raises ApiError, _NodeRests."""
        if time.monotonic() < self._resting.get(container.node, 0.0):
            raise _NodeRests(f"node {container.node} did not answer")
        try:
            excerpt = await pod_logs.read(self._client, container, self._max_bytes)
        except ApiError as error:
            if error.status in (500, 502, 504):
                self._resting[container.node] = time.monotonic() + _NODE_REST
            raise
        self._resting.pop(container.node, None)
        return excerpt.text()


class _NodeRests(Exception):
    """The node did not answer a moment ago."""


def _nothing_began(pod: Document) -> str:
    status = pod.get("status", {})
    why = " ".join(str(status[key]) for key in ("reason", "message") if status.get(key))
    return f"==== No container of pod {pod['metadata']['name']} began. {why}".rstrip() + "\n"


class _LogFile:
    """One log file, under a temporary name until `commit`. Its methods block."""

    def __init__(self, products: Path, folder: PurePosixPath, job: str) -> None:
        self._products = products
        self._parts = (*folder.parts, FOLDER)
        self._name = f"{job}.log"
        self._temporary = f".{job}.log.part"
        self._begun = False

    def exists(self) -> bool:
        with open_folder(self._products, *self._parts) as folder:
            try:
                found = os.stat(self._name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                return False
        return stat.S_ISREG(found.st_mode)

    def append(self, data: bytes) -> None:
        with open_folder(self._products, *self._parts) as folder:
            self._append(folder, data, last=False)

    def commit(self, data: bytes) -> None:
        """Append, rename the file to its final name, and bring it to the disk."""
        with open_folder(self._products, *self._parts) as folder:
            self._append(folder, data, last=True)
            os.rename(self._temporary, self._name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)

    def discard(self) -> None:
        """Remove what was written so far; anything left behind is replaced by the next try."""
        if not self._begun:
            return
        with suppress(OSError), open_folder(self._products, *self._parts) as folder:
            os.unlink(self._temporary, dir_fd=folder)

    def _append(self, folder: int, data: bytes, *, last: bool) -> None:
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        if not self._begun:
            with suppress(FileNotFoundError):
                os.unlink(self._temporary, dir_fd=folder)  # left by an operator that was killed
            flags |= os.O_CREAT | os.O_EXCL
        descriptor = os.open(self._temporary, flags | os.O_APPEND, _MODE, dir_fd=folder)
        self._begun = True
        try:
            write_all(descriptor, data)
            if last:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
