"""Reconcile StarCatalogues, one after the other: observe, decide, act, patch the status.

There are few of them, so only their names are remembered; everything else is read from the API server each time.
"""

import asyncio
import logging
from collections.abc import Callable

from plato_sas.api import Document, StarCatalogue, StarCatalogueStatus
from plato_sas.controller.catalogues.actuator import Actuator
from plato_sas.controller.kube.client import ApiError, KubeClient, NotFound
from plato_sas.controller.kube.events import catalogue_notes, write_events
from plato_sas.controller.kube.refusals import raise_temporary
from plato_sas.controller.kube.resources import CATALOGUE, JOB, MODULE, PIPELINE, POD, Kind
from plato_sas.controller.kube.status import write_status
from plato_sas.controller.kube.troubles import Troubles
from plato_sas.controller.revisions import Revisions
from plato_sas.controller.work.queue import WorkQueue
from plato_sas.controller.work.worker import work
from plato_sas.jobs.catalogue import CatalogueAttempt, catalogue_attempt
from plato_sas.jobs.names import CATALOGUE_LABEL, JOB_NAME_LABEL, label_value
from plato_sas.jobs.one_pod import owned_by
from plato_sas.jobs.stage import Site
from plato_sas.plan.catalogue.decide import Observed, PipelineNow, decide, wanted_rerun
from plato_sas.plan.catalogue.refusals import with_refusals
from plato_sas.plan.graph.graph import GraphInvalid

logger = logging.getLogger(__name__)

_FIRST_PAUSE = 0.5  # seconds between tries of a list, doubled each time
_LONGEST_PAUSE = 60.0


class Catalogues:
    """Reconciles the namespace's StarCatalogues. `clock` returns the time in RFC 3339; durations are in seconds."""

    def __init__(
        self,
        client: KubeClient,
        revisions: Revisions,
        site: Site,
        clock: Callable[[], str],
        *,
        job_ttl: int,
        resync: float,
    ) -> None:
        self._client = client
        self._revisions = revisions
        self._actuator = Actuator(client, site)
        self._image = site.catalogue_image
        self._clock = clock
        self._job_ttl = job_ttl
        self._resync = resync
        self._troubles = Troubles(client, CATALOGUE)
        self._names: dict[str, str] = {}  # by label value
        self._queue = WorkQueue(CATALOGUE)

    def observe(self, kind: Kind, item: Document) -> None:
        """Mark the catalogues that a watch event may concern."""
        if kind is CATALOGUE:
            self._mark(item["metadata"]["name"])
        elif kind in (JOB, POD):
            name = self._names.get(item["metadata"].get("labels", {}).get(CATALOGUE_LABEL, ""))
            if name is not None:
                self._queue.add(name)
        elif kind in (PIPELINE, MODULE):
            # A rejected catalogue may be valid now.
            for name in self._names.values():
                self._queue.add(name)

    async def run(self) -> None:
        """Work until cancelled; the view must have all pipelines and modules."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._list_now_and_then())
            group.create_task(work(self._queue, self.reconcile, "catalogue"))

    async def reconcile(self, name: str) -> float | None:
        """Reconcile a catalogue; returns the seconds after which to look again without an event. Raises ApiError."""
        stored = None
        try:
            stored = await self._stored(name)
            again = await self._reconcile(stored)
        except Exception as error:
            await self._troubles.tell(name, stored, error, self._clock())
            raise
        self._troubles.over(name)
        return again

    async def _reconcile(self, stored: Document | None) -> float | None:
        if stored is None or "deletionTimestamp" in stored["metadata"]:
            return None  # its Jobs are deleted with it
        catalogue = StarCatalogue.model_validate(stored)
        decision = decide(await self._observed(catalogue))
        refusals = await self._actuator.execute(decision.actions)
        status = with_refusals(catalogue, decision.status, refusals, self._clock())
        await self._write(stored, catalogue, status)
        await write_events(self._client, catalogue, catalogue_notes(catalogue.status, status), self._clock())
        raise_temporary(refusals)
        return decision.again_after

    async def _stored(self, name: str) -> Document | None:
        try:
            return await self._client.get(CATALOGUE, name)
        except NotFound:
            self._names.pop(label_value(name), None)
            return None

    async def _observed(self, catalogue: StarCatalogue) -> Observed:
        attempts = await self._attempts(catalogue)
        pipeline = await self._pipeline_now(catalogue)
        return Observed(catalogue, attempts, pipeline, self._image, self._clock(), self._job_ttl)

    async def _pipeline_now(self, catalogue: StarCatalogue) -> PipelineNow:
        if catalogue.status.state.final and wanted_rerun(catalogue) is None:
            return PipelineNow()
        try:
            return self._current(catalogue)
        except GraphInvalid as error:
            if not error.not_found:
                return PipelineNow(reason=error.reason, problems=tuple(error.problems))
        # Events of different kinds may arrive in any order.
        await self._revisions.refresh()
        try:
            return self._current(catalogue)
        except GraphInvalid as error:
            return PipelineNow(reason=error.reason, problems=tuple(error.problems))

    def _current(self, catalogue: StarCatalogue) -> PipelineNow:
        revision, graph = self._revisions.current(catalogue.spec.pipeline)
        return PipelineNow(graph, revision)

    async def _attempts(self, catalogue: StarCatalogue) -> tuple[CatalogueAttempt, ...]:
        label = label_value(catalogue.metadata.name)
        jobs = await self._client.list(JOB, f"{CATALOGUE_LABEL}={label}")
        pods = await self._client.list(POD, f"{CATALOGUE_LABEL}={label}") if jobs else []
        found = []
        for job in jobs:
            if not owned_by(job, catalogue.metadata.uid):
                continue  # of a deleted catalogue of the same name
            name = job["metadata"]["name"]
            mine = [pod for pod in pods if pod["metadata"].get("labels", {}).get(JOB_NAME_LABEL) == name]
            found.append(catalogue_attempt(job, mine))
        return tuple(found)

    async def _write(self, stored: Document, catalogue: StarCatalogue, status: StarCatalogueStatus) -> None:
        try:
            patched = await write_status(self._client, CATALOGUE, stored, status.to_dict())
        except NotFound:
            return
        if patched is not None and status.state is not catalogue.status.state:
            fields = {"catalogue": catalogue.metadata.name, "state": status.state.value, "note": status.message or ""}
            logger.info("Catalogue changed state", extra=fields)

    def _mark(self, name: str) -> None:
        self._names[label_value(name)] = name
        self._queue.add(name)

    async def _list_now_and_then(self) -> None:
        """Look at everything at the start, and regularly, since a watch can lose an event."""
        pause = _FIRST_PAUSE
        while True:
            try:
                for item in await self._client.list(CATALOGUE):
                    self._mark(item["metadata"]["name"])
                pause = _FIRST_PAUSE
                await asyncio.sleep(self._resync)
            except ApiError as error:
                logger.warning("Catalogues not listed", extra={"error": str(error), "retry_in": pause})
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE, pause * 2)
