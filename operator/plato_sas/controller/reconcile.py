"""Observe, decide, act, one status patch: one star brought one step further."""

import logging
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from plato_sas.api import StarProcessing, StarProcessingStatus, StarState, StepState
from plato_sas.controller import metrics
from plato_sas.controller.actuator import Actuator
from plato_sas.controller.client import ApiError, KubeClient, NotFound
from plato_sas.controller.events import event_body, notes
from plato_sas.controller.resources import EVENT, POD, PROCESSING
from plato_sas.controller.revisions import Revisions
from plato_sas.controller.view import View
from plato_sas.controller.window import AdmissionWindow
from plato_sas.jobs import outcome
from plato_sas.jobs.names import JOB_NAME_LABEL
from plato_sas.plan import acceptance
from plato_sas.plan.attempts import parse_time
from plato_sas.plan.decide import Decision, Observed, decide
from plato_sas.plan.graph import Graph, GraphInvalid
from plato_sas.plan.refusal import with_refusals
from plato_sas.plan.status import rejected

logger = logging.getLogger(__name__)

Document = dict[str, Any]

_NOT_FOUND = ("PipelineNotFound", "ModuleNotFound")
_ENDED = (StarState.SUCCEEDED, StarState.FAILED, StarState.CANCELLED)


def _state(stored: Document) -> StarState:
    return StarState(stored.get("status", {}).get("state", StarState.PENDING))


class Reconciler:
    """Reconciles stars by name. `clock` gives the time in RFC 3339; `mark` makes a key dirty."""

    def __init__(
        self,
        client: KubeClient,
        view: View,
        revisions: Revisions,
        window: AdmissionWindow,
        actuator: Actuator,
        clock: Callable[[], str],
        mark: Callable[[str], None],
    ) -> None:
        self._client = client
        self._view = view
        self._revisions = revisions
        self._window = window
        self._actuator = actuator
        self._clock = clock
        self._mark = mark

    async def reconcile(self, name: str) -> float | None:
        """Bring a star further; when to look again without an event, in seconds. Raises ApiError."""
        stored = self._view.processing(name)
        if stored is None or "deletionTimestamp" in stored["metadata"]:
            # The Jobs go with the owner; a free slot is somebody else's.
            self._window.release(name)
            return None
        try:
            processing = StarProcessing.model_validate(stored)
        except ValidationError as error:
            # Written under other rules than today's (an old CRD): say so, touch nothing.
            logger.error("StarProcessing is not readable", extra={"processing": name, "error": str(error)})
            return None
        try:
            revision, graph = await self._accepted(processing)
        except GraphInvalid as error:
            status = rejected(processing, error.reason, error.problems, self._clock())
            await self._write(stored, processing, status)
            await self._tell(processing, status)
            return None
        await self._revisions.pin(revision)
        decision = await self._decide(processing, revision, graph)
        refusals = await self._actuator.execute(decision.actions)
        status = with_refusals(processing, decision.status, refusals, self._clock())
        await self._write(stored, processing, status)
        self._count(graph, processing.status, status)
        running = any(step.state is StepState.RUNNING for step in status.steps)
        if not running and (not decision.needs_slot or status.state.finished):
            self._window.release(name)
        await self._tell(processing, status)
        if refusals and not all(one.final for one in refusals):
            raise ApiError(403, "; ".join(one.message for one in refusals))
        return decision.again_after

    async def _accepted(self, processing: StarProcessing) -> tuple[str, Graph]:
        """The star's revision and graph. Raises GraphInvalid where the star cannot run."""
        try:
            revision, graph = await self._revisions.of(processing)
        except GraphInvalid as error:
            if error.reason not in _NOT_FOUND or processing.status.state is StarState.REJECTED:
                raise
            await self._revisions.refresh()
            revision, graph = await self._revisions.of(processing)
        problems = acceptance.problems(processing.spec, graph)
        if problems and processing.status.revision is None:
            # Nothing is pinned: the pipeline may be mended as well as the star.
            raise GraphInvalid("SpecInvalid", problems)
        return revision, graph

    def _held(self, name: str, jobs: set[str]) -> tuple[str, str] | None:
        """What else keeps a star from starting a Job: pods of lost Jobs, or another star on the same products."""
        for pod in self._view.pods_of_star(name):
            job = pod["metadata"].get("labels", {}).get(JOB_NAME_LABEL)
            if job not in jobs and not outcome.terminal(pod):
                return "PodsTerminating", f"pod {pod['metadata']['name']} of an earlier Job has not ended yet"
        stored = self._view.processing(name)
        mine = self._claim(stored) if stored is not None else None
        for other in self._view.rivals(name) if stored is not None else ():
            theirs = self._claim(other)
            rejected_before = _state(other) is StarState.REJECTED and theirs is not None and theirs[0]
            if mine is not None and theirs is not None and not rejected_before and theirs < mine:
                rival = other["metadata"]["name"]
                return "ProductsInUse", f"StarProcessing {rival!r} writes to the same products (campaign and star)"
        return None

    def _claim(self, stored: Document) -> tuple[bool, str, str] | None:
        """A star's claim to its folder of the product tree, the smallest being first; None if it has ended.

        Whoever has begun goes on, then the oldest: two at once would mix their products.
        """
        metadata = stored["metadata"]
        name = metadata["name"]
        steps = stored.get("status", {}).get("steps", [])
        active = any(not outcome.finished(job) for job in self._view.jobs_of(name))
        if _state(stored) in _ENDED and not active:
            return None
        begun = active or self._window.holds(name) or any(step.get("attempt") for step in steps)
        return not begun, metadata["creationTimestamp"], name

    async def _decide(self, processing: StarProcessing, revision: str, graph: Graph) -> Decision:
        name = processing.metadata.name
        attempts = await self._attempts(processing)
        if any(one.state is outcome.AttemptState.ACTIVE for one in attempts):
            self._window.occupy(name)

        # From here to the slot nothing is awaited: no other star can come in between.
        held = self._held(name, {one.job for one in attempts})

        def decided() -> Decision:
            admitted = self._window.holds(name)
            return decide(Observed(processing, graph, revision, attempts, admitted, self._clock(), held))

        decision = decided()
        if decision.needs_slot and held is None and not self._window.holds(name):
            rank = (-processing.spec.priority, processing.metadata.creation_timestamp or "", name)
            if self._window.acquire(name, rank):
                decision = decided()
        return decision

    async def _attempts(self, processing: StarProcessing) -> tuple[outcome.Attempt, ...]:
        found = []
        for job in self._view.jobs_of(processing.metadata.name):
            owners = {one["uid"] for one in job["metadata"].get("ownerReferences", [])}
            if processing.metadata.uid not in owners:
                continue  # of a star of the same name that was deleted
            pods = self._view.pods_of(job["metadata"]["name"])
            if not outcome.settled(job, pods):
                # The watch of pods is behind that of Jobs, or the pod is gone: ask.
                pods = await self._client.list(POD, f"{JOB_NAME_LABEL}={job['metadata']['name']}")
            found.append(outcome.attempt(job, pods))
        return tuple(found)

    async def _write(self, stored: Document, processing: StarProcessing, status: StarProcessingStatus) -> None:
        old, new = stored.get("status", {}), status.to_dict()
        changed = {key: new.get(key) for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
        if not changed:
            return
        name = processing.metadata.name
        try:
            # The uid makes sure that it is this star, not a new one of its name.
            body = {"metadata": {"uid": processing.metadata.uid}, "status": changed}
            patched = await self._client.patch(PROCESSING, name, body, "status")
        except NotFound:
            return
        # The watch's echo of our own write is no news to the view: what it allows (Jobs to release, a rival to
        # go on) is marked here.
        for touched in self._view.put(PROCESSING, patched):
            self._mark(touched)
        if status.state is not processing.status.state:
            fields = {"processing": name, "state": status.state.value, "progress": status.progress}
            logger.info("Star changed state", extra=fields)

    async def _tell(self, processing: StarProcessing, status: StarProcessingStatus) -> None:
        """Events; one that cannot be written is not worth failing for."""
        for note in notes(processing.status, status):
            try:
                await self._client.create(EVENT, event_body(processing, note, self._clock()))
            except ApiError as error:
                fields = {"processing": processing.metadata.name, "error": str(error)}
                logger.warning("Event not written", extra=fields)

    def _count(self, graph: Graph, old: StarProcessingStatus, new: StarProcessingStatus) -> None:
        before = {step.name: step for step in old.steps}
        for step in new.steps:
            known = before.get(step.name)
            module = graph.step(step.name).module_name
            if step.state.final and (known is None or known.state is not step.state):
                metrics.STEPS.labels(module, step.state.value).inc()
                if step.state is StepState.SUCCEEDED and step.started_at and step.finished_at:
                    duration = parse_time(step.finished_at) - parse_time(step.started_at)
                    metrics.STEP_DURATION.labels(module).observe(duration.total_seconds())
            retried = (known.retries if known else None) or {}
            for kind, count in (step.retries or {}).items():
                if count > retried.get(kind, 0):
                    metrics.STEP_RETRIES.labels(module, kind).inc(count - retried.get(kind, 0))
