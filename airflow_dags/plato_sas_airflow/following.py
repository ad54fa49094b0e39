"""Follow a batch to its end with one watch.

List the batch's label, then watch from the list's resourceVersion, and again from the last one seen whenever the stream
ends. When the server does not remember it (410), list anew. While the server is busy or away, wait and try again for as
long as it takes: the batch's own deadline is the bound.

A resource that leaves the selection was deleted, or adopted by another batch. The second still tells how the star ends,
so the selection is widened by that batch's label. The first is a failure, and never a success.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Protocol

from kubernetes_asyncio.client.exceptions import ApiException

from plato_sas_airflow.adoption import same_work
from plato_sas_airflow.backoff import Backoff, is_transient
from plato_sas_airflow.batch import BATCH_LABEL, Batch, Resource
from plato_sas_airflow.client import StarProcessingClient
from plato_sas_airflow.progress import BatchProgress, BatchResult, StarFailure

_WATCH_SECONDS = 300
_HASTY_SECONDS = 1.0
_PATIENCE_SECONDS = 60.0
"""A starting API server may refuse (401, 403) or not know the resource (404) for a while; it is waited out so long."""


class Log(Protocol):
    def info(self, message: str, /, *args: object) -> object: ...
    def warning(self, message: str, /, *args: object) -> object: ...


class BatchFollower:
    """One batch being followed.

    :param report_seconds: a line with the counts is logged so often.
    :param watch_seconds: a stream is asked for so long.
    :param clock: seconds that never go back.
    """

    def __init__(
        self,
        client: StarProcessingClient,
        batch: Batch,
        log: Log,
        report_seconds: float = 30.0,
        watch_seconds: int = _WATCH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.progress = BatchProgress(batch.names())
        self._client = client
        self._batch = batch
        self._log = log
        self._report_seconds = report_seconds
        self._watch_seconds = watch_seconds
        self._clock = clock
        self._owners = {batch.id}
        self._resource_version: str | None = None
        self._healthy_at = clock()

    async def look(self) -> BatchResult:
        """List the batch once; the result may have unfinished stars. Raises ApiException when the server refuses."""
        await self._relist()
        return self.progress.result()

    async def follow(self, seconds: float | None = None, resource_version: str | None = None) -> BatchResult:
        """Return when every star has ended, or `seconds` have passed (some are then unfinished in the result).

        `resource_version`: watch from here instead of listing first.
        Raises ApiException when the server keeps refusing for another reason than being busy.
        """
        self._resource_version = resource_version
        reporter = asyncio.create_task(self._report())
        try:
            async with asyncio.timeout(seconds):
                await self._to_the_end()
        except TimeoutError:
            pass
        finally:
            reporter.cancel()
        self._log.info("%s", self.progress.summary(self._clock()))
        return self.progress.result()

    async def _to_the_end(self) -> None:
        backoff = Backoff()
        while not self.progress.done:
            began = self._clock()
            try:
                if self._resource_version is None:
                    await self._relist()
                events = await self._watch()
            except Exception as error:
                if isinstance(error, ApiException) and error.status == 410:
                    self._log.info("The API server does not remember so far back: listing the batch anew")
                    self._resource_version = None
                    continue
                if not self._bearable(error):
                    raise
                self._log.warning("The API server does not serve the batch (%s): trying again", _brief(error))
                await backoff.wait(error)
            else:
                self._healthy_at = self._clock()
                if events or self._healthy_at - began > _HASTY_SECONDS:
                    backoff.reset()
                else:  # a stream that ends as soon as it begins
                    await backoff.wait()

    def _bearable(self, error: Exception) -> bool:
        refused = isinstance(error, ApiException) and self._clock() - self._healthy_at < _PATIENCE_SECONDS
        return refused or is_transient(error)

    @property
    def _selector(self) -> str:
        return f"{BATCH_LABEL} in ({','.join(sorted(self._owners))})"

    async def _relist(self) -> None:
        """List the selection; look for what is missing by name; again if that widened the selection."""
        widened = True
        while widened:
            items, version = await self._client.select(self._batch.namespace, self._selector)
            self._healthy_at = self._clock()
            for item in items:
                self._observe(item)
            listed = {item["metadata"]["name"] for item in items}
            widened = await self._look_for([name for name in self.progress.unfinished if name not in listed])
        self._resource_version = version

    async def _watch(self) -> int:
        """Take in events until the stream ends, the batch does, or the selection has to be listed anew.

        Gives the number of events.
        """
        assert self._resource_version is not None
        number = 0
        if self.progress.done:
            return number
        stream = self._client.watch(self._batch.namespace, self._selector, self._resource_version, self._watch_seconds)
        async with aclosing(stream) as events:
            async for kind, resource in events:
                number += 1
                self._healthy_at = self._clock()
                self._resource_version = resource["metadata"]["resourceVersion"]
                name = resource["metadata"].get("name", "")
                if kind == "DELETED":
                    if name in self.progress.unfinished and await self._look_for([name]):
                        self._resource_version = None
                        break
                elif kind != "BOOKMARK":
                    self._observe(resource)
                if self.progress.done:
                    break
        return number

    async def _look_for(self, names: list[str]) -> bool:
        """See what became of resources that the selection does not show; True if it was widened to show them."""
        before = len(self._owners)
        for name, resource in (await self._client.get_many(names, self._batch.namespace)).items():
            if resource is None:
                self._say(self.progress.gone(name))
                continue
            self._observe(resource)
            if name not in self.progress.unfinished:
                continue
            owner = resource["metadata"].get("labels", {}).get(BATCH_LABEL)
            if owner is None:
                self._say(self.progress.changed(name, f"its label {BATCH_LABEL} was removed"))
            elif owner not in self._owners:
                self._log.info("%s is now with the batch %s, which is watched as well", name, owner)
                self._owners.add(owner)
        return len(self._owners) > before

    def _observe(self, resource: Resource) -> None:
        name = resource["metadata"]["name"]
        if name not in self.progress:
            return
        if same_work(resource, self._batch):
            self._say(self.progress.observe(resource))
        else:
            self._say(self.progress.changed(name, "it was given another pipeline or other parameters"))

    def _say(self, failure: StarFailure | None) -> None:
        if failure is not None:
            self._log.warning("%s", failure.text())

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(self._report_seconds)
            self._log.info("%s", self.progress.summary(self._clock()))


def _brief(error: Exception) -> str:
    if isinstance(error, ApiException):
        return f"{error.status} {error.reason}"
    return f"{type(error).__name__}: {error}"
