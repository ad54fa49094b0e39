"""Follow a batch until it is finished, with one watch of its label.

A resource that leaves the selection was deleted, or adopted by another batch. A deleted star has failed. An adopted one
is still followed: the selection is widened by the other batch's label.
"""

import asyncio
import time
from collections.abc import Callable

from plato_sas_airflow.batches.adoption import same_work
from plato_sas_airflow.batches.batch import Batch
from plato_sas_airflow.batches.progress import BatchProgress
from plato_sas_airflow.batches.results import MAX_REPORTED, BatchResult, StarFailure
from plato_sas_airflow.kube.client import StarProcessingClient
from plato_sas_airflow.kube.resource import BATCH_LABEL, Resource
from plato_sas_airflow.kube.watching import WATCH_SECONDS, Log, Observer, Watcher, until_first

_UNCHANGED_REPORTS = 20
"""Unchanged counts are reported less often by this factor."""


class BatchFollower(Observer):
    """Follows one batch.

    :param report_seconds: interval between log lines with the counts; longer while nothing changes.
    :param rejected_seconds: a star that stays `Rejected` for longer has failed.
    :param keep_all: keep every failure instead of the first hundred.
    :param watch_seconds: duration of one watch request.
    :param clock: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        client: StarProcessingClient,
        batch: Batch,
        log: Log,
        report_seconds: float = 30.0,
        rejected_seconds: float = 0.0,
        keep_all: bool = False,
        watch_seconds: int = WATCH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.progress = BatchProgress(batch.names(), rejected_seconds, keep_all)
        self._client = client
        self._batch = batch
        self._stars = batch.named()
        self._log = log
        self._report_seconds = report_seconds
        self._clock = clock
        self._owners = {batch.id}
        self._said = 0
        self._reported = ("", 0.0)
        self._watcher = Watcher(client, batch.namespace, self, log, watch_seconds, clock)

    async def look(self) -> BatchResult:
        """List the batch once; stars in the result may be unfinished. Raises ApiException if the server refuses."""
        await self._watcher.look()
        return self.progress.result()

    async def follow(self, seconds: float | None = None, resource_version: str | None = None) -> BatchResult:
        """Return when every star is finished, or `seconds` have passed (the result then has unfinished stars).

        `resource_version`: watch from here instead of listing first.
        Raises ApiException if the server keeps refusing for a reason other than overload.
        """
        await until_first(self._watcher.run(resource_version), self._tick(), seconds=seconds)
        self._log.info("%s", self.progress.summary(self._clock()))
        return self.progress.result()

    @property
    def selector(self) -> str:
        return f"{BATCH_LABEL} in ({','.join(sorted(self._owners))})"

    @property
    def done(self) -> bool:
        return self.progress.done

    def observe(self, resource: Resource) -> None:
        name = resource["metadata"]["name"]
        if not self.progress.is_unfinished(name):
            return
        if same_work(resource["spec"], self._batch.spec(self._stars[name])):
            self._say(self.progress.observe(resource, self._clock()))
        else:
            self._say(self.progress.changed(name, "its parameters or inputs were changed"))

    async def missing(self, listed: set[str]) -> bool:
        return await self._look_for([name for name in self.progress.unfinished if name not in listed])

    async def deleted(self, name: str) -> bool:
        return self.progress.is_unfinished(name) and await self._look_for([name])

    async def _look_for(self, names: list[str]) -> bool:
        """Look up resources that are not in the selection; returns True if the selection was widened to have them."""
        before = len(self._owners)
        for name, resource in (await self._client.get_many(names, self._batch.namespace)).items():
            if resource is None:
                self._say(self.progress.gone(name))
                continue
            self.observe(resource)
            if not self.progress.is_unfinished(name):
                continue
            owner = (resource["metadata"].get("labels") or {}).get(BATCH_LABEL)
            if owner is None:
                self._say(self.progress.changed(name, f"its label {BATCH_LABEL} was removed"))
            elif owner not in self._owners:
                self._log.info("%s now belongs to the batch %s, which is watched as well", name, owner)
                self._owners.add(owner)
        return len(self._owners) > before

    def _say(self, failure: StarFailure | None) -> None:
        """Log one line for a star that failed; the task logs its module's last lines at the end."""
        if failure is None:
            return
        self._said += 1
        if self._said <= MAX_REPORTED:
            grace = "; it fails unless this is corrected soon" if self.progress.is_unfinished(failure.name) else ""
            self._log.warning("%s%s", failure.heading(), grace)
        elif self._said == MAX_REPORTED + 1:
            self._log.warning("Further failed stars are only counted here")

    async def _tick(self) -> None:
        """Report the counts, and fail stars that stay rejected; returns when every star is finished."""
        next_report = self._clock() + self._report_seconds
        while not self.done:
            expiry = self.progress.next_expiry
            next_look = next_report if expiry is None else min(next_report, expiry)
            # A star that is rejected meanwhile may expire before the next report.
            await asyncio.sleep(min(max(next_look - self._clock(), 0.05), 5.0))
            self.progress.expire(self._clock())
            if self._clock() >= next_report:
                self._report()
                next_report = self._clock() + self._report_seconds

    def _report(self) -> None:
        now, counts = self._clock(), self.progress.counts()
        before, at = self._reported
        if counts != before or now - at >= self._report_seconds * _UNCHANGED_REPORTS:
            self._reported = (counts, now)
            self._log.info("%s", self.progress.summary(now))
