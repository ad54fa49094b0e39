"""Watch the StarProcessings that match a label selector.

List the selection, then watch from the list's resourceVersion; whenever the stream ends, watch again from the last one
seen, or list again if that is too old (410). An overloaded or unreachable server is retried without limit: the caller
sets the deadline.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from contextlib import aclosing, suppress
from typing import Any, Protocol

from kubernetes_asyncio.client.exceptions import ApiException

from plato_sas_airflow.kube.backoff import Backoff, is_transient
from plato_sas_airflow.kube.client import StarProcessingClient, StreamUnreadable
from plato_sas_airflow.kube.resource import Resource

WATCH_SECONDS = 300
_HASTY_SECONDS = 1.0
_PATIENCE_SECONDS = 60.0
"""How long to retry other refusals: a starting API server may answer 401, 403 or 404 for a while."""


class Log(Protocol):
    def info(self, message: str, /, *args: object) -> object: ...
    def warning(self, message: str, /, *args: object) -> object: ...
    def error(self, message: str, /, *args: object) -> object: ...


async def until_first(*works: Coroutine[Any, Any, None], seconds: float | None) -> None:
    """Wait until one of them finishes or `seconds` have passed, and cancel the others. Raises what that one raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        finished, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in finished:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


class Observer(ABC):
    """Receives the resources that a watch shows."""

    @property
    @abstractmethod
    def selector(self) -> str:
        """The label selector; it may change when `missing` or `deleted` returns True."""

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether there is nothing more to wait for."""

    @abstractmethod
    def observe(self, resource: Resource) -> None:
        """Take in a resource as it is now."""

    @abstractmethod
    async def missing(self, listed: set[str]) -> bool:
        """A complete list was observed, with these names; True if the selector has changed."""

    @abstractmethod
    async def deleted(self, name: str) -> bool:
        """A resource has left the selection; True if the selector has changed."""


class Watcher:
    """Watches one selection.

    :param watch_seconds: duration of one watch request.
    :param fields: a field selector in addition to the observer's label selector.
    :param clock: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        client: StarProcessingClient,
        namespace: str,
        observer: Observer,
        log: Log,
        watch_seconds: int = WATCH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        fields: str = "",
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._observer = observer
        self._log = log
        self._watch_seconds = watch_seconds
        self._clock = clock
        self._fields = fields
        self._resource_version: str | None = None
        self._healthy_at = clock()

    async def look(self) -> None:
        """List the selection, again if the selector has changed by that. Raises ApiException on any refusal."""
        changed = True
        while changed:
            names: set[str] = set()
            async for page, version in self._client.pages(self._namespace, self._observer.selector, self._fields):
                self._healthy_at = self._clock()
                self._resource_version = version
                for item in page:
                    names.add(item["metadata"]["name"])
                    self._observer.observe(item)
            changed = await self._observer.missing(names)

    async def run(self, resource_version: str | None = None) -> None:
        """Return when the observer is done. `resource_version`: watch from here instead of listing first.

        Raises ApiException if the server keeps refusing for a reason other than overload.
        """
        self._resource_version = resource_version
        backoff = Backoff()
        while not self._observer.done:
            began = self._clock()
            try:
                if self._resource_version is None:
                    await self.look()
                events = await self._watch()
            except Exception as error:
                await self._handle(error, backoff)
            else:
                self._healthy_at = self._clock()
                if events or self._healthy_at - began > _HASTY_SECONDS:
                    backoff.reset()
                else:  # the stream ended as soon as it began
                    await backoff.wait()

    async def _handle(self, error: Exception, backoff: Backoff) -> None:
        """Wait before the next attempt, or raise the error if a retry cannot help."""
        if isinstance(error, ApiException) and error.status == 410:
            self._log.info("The watch's resourceVersion has expired: listing again")
            self._resource_version = None
            return
        if isinstance(error, StreamUnreadable):
            self._log.warning("The watch cannot be read (%s): listing again", error)
            self._resource_version = None
        elif self._may_pass(error):
            self._log.warning("The API server does not serve the stars (%s): retrying", _brief(error))
        else:
            raise error
        await backoff.wait(error)

    def _may_pass(self, error: Exception) -> bool:
        refused = isinstance(error, ApiException) and self._clock() - self._healthy_at < _PATIENCE_SECONDS
        return refused or is_transient(error)

    async def _watch(self) -> int:
        """Take in events until the stream ends, the observer is done, or the selector has changed.

        Returns the number of events.
        """
        number = 0
        if self._observer.done:
            return number
        assert self._resource_version is not None
        stream = self._client.watch(
            self._namespace, self._observer.selector, self._resource_version, self._watch_seconds, self._fields
        )
        async with aclosing(stream) as events:
            async for kind, resource in events:
                number += 1
                self._healthy_at = self._clock()
                self._resource_version = resource["metadata"]["resourceVersion"]
                if kind == "DELETED":
                    if await self._observer.deleted(resource["metadata"]["name"]):
                        self._resource_version = None
                        break
                elif kind != "BOOKMARK":
                    self._observer.observe(resource)
                if self._observer.done:
                    break
        return number


def _brief(error: Exception) -> str:
    if isinstance(error, ApiException):
        return f"{error.status} {error.reason}"
    return f"{type(error).__name__}: {error}"
