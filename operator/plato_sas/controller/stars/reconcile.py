"""Reconcile a star: observe, decide, act, patch the status."""

import logging
from collections.abc import Callable

from plato_sas.api import DesiredState, Document, StarProcessing, StarProcessingStatus, StarState, StepState
from plato_sas.controller import metrics
from plato_sas.controller.keeping.retention import Retention
from plato_sas.controller.kube.client import KubeClient, NotFound
from plato_sas.controller.kube.events import notes, write_events
from plato_sas.controller.kube.refusals import raise_temporary
from plato_sas.controller.kube.resources import POD, PROCESSING
from plato_sas.controller.kube.status import write_status
from plato_sas.controller.kube.troubles import Troubles
from plato_sas.controller.revisions import Revisions
from plato_sas.controller.stars.actuator import Actuator
from plato_sas.controller.stars.causes import Causes
from plato_sas.controller.stars.claims import Claims
from plato_sas.controller.stars.log_tail import LogTail
from plato_sas.controller.stars.window import AdmissionWindow
from plato_sas.controller.view.parsed import ParsedStars
from plato_sas.controller.view.slimming import slim
from plato_sas.controller.view.view import View
from plato_sas.jobs.attempt import Attempt, attempt, pods_up_to_date
from plato_sas.jobs.names import JOB_NAME_LABEL, STEPS_ANNOTATION, annotated_steps, made_for
from plato_sas.jobs.one_pod import owned_by
from plato_sas.jobs.pods import pod_finished
from plato_sas.plan.conditions import troubled
from plato_sas.plan.graph.graph import Graph, GraphInvalid
from plato_sas.plan.star import acceptance
from plato_sas.plan.star.decide import MAX_STEPS_PER_STAGE, Decision, Observed, ReleaseJob, StopJob, decide
from plato_sas.plan.star.refusals import with_refusals
from plato_sas.plan.star.status import cancelled, rejected
from plato_sas.plan.star.timeouts import START_SECONDS
from plato_sas.plan.times import seconds_between

logger = logging.getLogger(__name__)


class Reconciler:
    """Reconciles stars by name. `clock` returns the time in RFC 3339; `mark` marks a key dirty."""

    def __init__(
        self,
        client: KubeClient,
        view: View,
        revisions: Revisions,
        window: AdmissionWindow,
        actuator: Actuator,
        retention: Retention,
        clock: Callable[[], str],
        mark: Callable[[str], None],
        max_steps_per_stage: int = MAX_STEPS_PER_STAGE,
        start_seconds: int = START_SECONDS,
        normal_events: bool = False,
    ) -> None:
        self._client = client
        self._view = view
        self._revisions = revisions
        self._window = window
        self._claims = Claims(view, window)
        self._parsed = ParsedStars()
        self._log_tail = LogTail(client)
        self._causes = Causes(client, clock)
        self._troubles = Troubles(client, PROCESSING)
        self._actuator = actuator
        self._retention = retention
        self._max_steps_per_stage = max_steps_per_stage
        self._start_seconds = start_seconds
        self._normal_events = normal_events
        self._clock = clock
        self._mark = mark

    async def reconcile(self, name: str) -> float | None:
        """Reconcile a star; returns the seconds after which to look again without an event. Raises ApiError."""
        try:
            again = await self._reconcile(name)
        except Exception as error:
            await self._failed(name, error)
            raise
        self._troubles.over(name)
        return again

    async def _failed(self, name: str, error: Exception) -> None:
        """Others must not wait behind a star that fails, and its user must see that it does."""
        self._window.withdraw(name)
        if not self._view.has_running_job(name):
            self._window.release(name)
        stored = self._view.processing(name)
        patched = await self._troubles.tell(name, stored, error, self._clock())
        if patched is not None:
            self._view.put(PROCESSING, patched)

    async def _reconcile(self, name: str) -> float | None:
        stored = self._view.processing(name)
        if stored is None or "deletionTimestamp" in stored["metadata"]:
            # Its Jobs are deleted with it; others may use its slot.
            self._window.release(name)
            return None
        processing, unreadable = self._parsed.of(stored)
        if self._nothing_to_decide(processing):
            self._window.release(name)
            return self._retention.expire(processing, processing.status)
        try:
            revision, graph = await self._accepted(processing, unreadable)
        except GraphInvalid as error:
            await self._reject(stored, processing, error)
            return None
        await self._revisions.pin(revision)
        decision = await self._decide(processing, revision, graph, unreadable)
        refusals = await self._actuator.execute(decision.actions)
        status = with_refusals(processing, decision.status, refusals, self._clock())
        await self._write(stored, processing, status)
        self._count(graph, processing.status, status)
        if not decision.busy and (not decision.needs_slot or status.state.at_rest):
            self._window.release(name)
        await self._note(processing, status)
        # Clean up before raising: the deleted Jobs may be what exhausts the quota.
        again = await self._clean_up(processing, decision, status)
        raise_temporary(refusals)
        return again

    async def _reject(self, stored: Document, processing: StarProcessing, error: GraphInvalid) -> None:
        """A star without a graph starts nothing, but can be cancelled."""
        status, now = processing.status, self._clock()
        active = [one for one in await self._attempts(processing) if one.active]
        if processing.spec.desired_state is DesiredState.CANCEL:
            await self._actuator.execute([StopJob(one.job) for one in active if not one.leaving])
            status = cancelled(processing, now)
        else:
            status = rejected(processing, error.reason, error.problems, now)
        if not active:
            self._window.release(processing.metadata.name)
        await self._write(stored, processing, status)
        await self._note(processing, status)

    def _nothing_to_decide(self, processing: StarProcessing) -> bool:
        """Whether only its TTL matters: true of most stars, and of nearly all when the operator starts."""
        status, metadata = processing.status, processing.metadata
        current = status.observed_generation == metadata.generation
        quiet = status.state.final and current and not troubled(status.conditions)
        return quiet and not self._view.has_jobs(metadata.name)

    async def _clean_up(
        self, processing: StarProcessing, decision: Decision, status: StarProcessingStatus
    ) -> float | None:
        """Delete what has reached its TTL; returns the seconds until the next look."""
        again = [decision.again_after]
        for action in decision.actions:
            if isinstance(action, ReleaseJob):
                again.append(await self._retention.release(processing, action.attempt))
        again.append(self._retention.expire(processing, status))
        return min((one for one in again if one is not None), default=None)

    async def _accepted(self, processing: StarProcessing, unreadable: tuple[str, ...]) -> tuple[str, Graph]:
        """The star's revision and graph. Raises GraphInvalid if the star cannot run."""
        try:
            revision, graph = await self._revisions.of(processing)
        except GraphInvalid as error:
            if not error.not_found or processing.status.state is StarState.REJECTED:
                raise
            await self._revisions.refresh()
            revision, graph = await self._revisions.of(processing)
        problems = [*unreadable, *acceptance.problems(processing.spec, graph)]
        if problems and processing.status.revision is None:
            # No revision is pinned: correcting either the pipeline or the star may help.
            raise GraphInvalid("SpecInvalid", problems)
        if problems and revision != processing.status.revision:
            # The spec does not fit the graph that a rerun would take: keep the pinned one, and report the problems.
            return await self._revisions.pinned(processing)
        return revision, graph

    async def _decide(
        self, processing: StarProcessing, revision: str, graph: Graph, unreadable: tuple[str, ...]
    ) -> Decision:
        name = processing.metadata.name
        attempts = await self._attempts(processing)
        if any(one.active for one in attempts):
            self._window.occupy(name)

        # No await from here until the slot is taken, so that no other star can take it in between.
        held = self._claims.held(name, {one.job for one in attempts if one.active})
        if held is not None:
            self._window.withdraw(name)  # others must not wait behind it

        def decided() -> Decision:
            admitted = self._window.holds(name)
            limits = self._max_steps_per_stage, self._start_seconds
            now = self._clock()
            return decide(Observed(processing, graph, revision, attempts, admitted, now, held, *limits, unreadable))

        decision = decided()
        if decision.needs_slot and held is None and not self._window.holds(name):
            rank = (-processing.spec.priority, processing.metadata.creation_timestamp or "", name)
            if self._window.acquire(name, rank):
                decision = decided()
        return decision

    async def _attempts(self, processing: StarProcessing) -> tuple[Attempt, ...]:
        found = []
        for job in self._view.jobs_of(processing.metadata.name):
            if not owned_by(job, processing.metadata.uid):
                continue  # of a deleted star of the same name
            if not self._made(processing, job):
                continue
            pods = self._view.pods_of(job["metadata"]["name"])
            if not pods_up_to_date(job, pods):
                # The watch of pods lags behind that of Jobs, or the pod is gone: read it.
                pods = await self._client.list(POD, f"{JOB_NAME_LABEL}={job['metadata']['name']}")
                for pod in filter(pod_finished, pods):
                    self._view.put(POD, pod)  # its log is read later
            completed = await self._log_tail.complete(attempt(job, pods), pods)
            found.append(await self._causes.complete(completed))
        return tuple(found)

    def _made(self, processing: StarProcessing, job: Document) -> bool:
        """Whether the operator made a Job of the star."""
        numbers = annotated_steps(job["metadata"].get("annotations", {}).get(STEPS_ANNOTATION, ""))
        if made_for(job["metadata"]["name"], processing.metadata.name, processing.metadata.uid or "", numbers):
            return True
        fields = {"processing": processing.metadata.name, "job": job["metadata"]["name"]}
        logger.warning("Job ignored: the operator did not make it", extra=fields)
        return False

    async def _write(self, stored: Document, processing: StarProcessing, status: StarProcessingStatus) -> None:
        if status == processing.status:
            return
        name, new = processing.metadata.name, status.to_dict()
        try:
            patched = await write_status(self._client, PROCESSING, stored, new)
        except NotFound:
            self._view.drop(PROCESSING, stored)
            return
        if patched is None:
            return
        # The watch event of our own write changes nothing in the view, so mark the stars it concerns here: a rival may
        # go on. The star itself needs another look only for what waits until its status is stored.
        touched = self._view.put(PROCESSING, patched)
        if _changed_in_status_alone(stored, patched):
            if patched["status"] == new:
                self._parsed.written(processing, status, patched)
            if not status.state.at_rest and not self._view.has_finished_job(name):
                touched.discard(name)
        for one in touched:
            self._mark(one)
        if status.state is not processing.status.state:
            fields = {"processing": name, "state": status.state.value, "progress": status.progress}
            logger.info("Star changed state", extra=fields)

    async def _note(self, processing: StarProcessing, status: StarProcessingStatus) -> None:
        noted = notes(processing.status, status, self._normal_events)
        await write_events(self._client, processing, noted, self._clock())

    def _count(self, graph: Graph, old: StarProcessingStatus, new: StarProcessingStatus) -> None:
        before = {step.name: step for step in old.steps}
        for step in new.steps:
            known = before.get(step.name)
            module = graph.step(step.name).module_name
            if step.state.final and (known is None or known.state is not step.state):
                metrics.STEPS.labels(module, step.state.value).inc()
                if step.state is StepState.SUCCEEDED and step.started_at and step.finished_at:
                    duration = seconds_between(step.started_at, step.finished_at)
                    metrics.STEP_DURATION.labels(module).observe(duration)
            retried = (known.retries if known else None) or {}
            for kind, count in (step.retries or {}).items():
                if count > retried.get(kind, 0):
                    metrics.STEP_RETRIES.labels(module, kind).inc(count - retried.get(kind, 0))


def _changed_in_status_alone(stored: Document, patched: Document) -> bool:
    """Whether the response differs from the view only in the status; other changes will not come as an event again."""
    old, new = stored["metadata"], slim(PROCESSING, patched)["metadata"]
    same = all(old.get(key) == new.get(key) for key in old.keys() | new.keys() if key != "resourceVersion")
    return same and bool(stored["spec"] == patched["spec"])
