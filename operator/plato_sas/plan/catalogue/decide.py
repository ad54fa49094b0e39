"""Decide what to do next about a catalogue: a pure function of what was observed."""

from dataclasses import dataclass, field

from plato_sas.api import (
    CatalogueFile,
    CatalogueState,
    StarCatalogue,
    StarCatalogueStatus,
    StarCounts,
    TableStatus,
    seconds,
)
from plato_sas.collector.order import catalogue_folder
from plato_sas.collector.report import FORMATS, CatalogueReport
from plato_sas.jobs.catalogue import CatalogueAttempt, CatalogueRun, catalogue_job_name
from plato_sas.jobs.failure import Failure, FailureClass
from plato_sas.jobs.stage import Owner
from plato_sas.plan.catalogue.status import with_conditions
from plato_sas.plan.catalogue.tables import MAX_ORDER, build_order, table_problems
from plato_sas.plan.conditions import COMPLETE
from plato_sas.plan.graph.graph import Graph
from plato_sas.plan.messages import MAX_MESSAGE
from plato_sas.plan.overdue import OVERDUE_SECONDS, awaited, overdue
from plato_sas.plan.retries import INFRASTRUCTURE_RETRIES, pause_left
from plato_sas.plan.times import seconds_between

TEMPORARY_RETRIES = 3
_RETRIES = {FailureClass.TEMPORARY: TEMPORARY_RETRIES, FailureClass.INFRASTRUCTURE: INFRASTRUCTURE_RETRIES}
_JOB_LOST = "JobLost"


@dataclass(frozen=True)
class PipelineNow:
    """The current pipeline, for a catalogue that may have to start: its graph, or why there is none."""

    graph: Graph | None = None
    revision: str = ""
    reason: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Observed:
    """Everything a decision may depend on. `now` is RFC 3339; `attempts` are the catalogue's Jobs that exist.

    `image` is the collector's, if the site has one; `job_ttl` is in seconds.
    """

    catalogue: StarCatalogue
    attempts: tuple[CatalogueAttempt, ...]
    pipeline: PipelineNow
    image: str | None
    now: str
    job_ttl: int


@dataclass(frozen=True)
class StartRun:
    """Create the Job of an attempt."""

    run: CatalogueRun


@dataclass(frozen=True)
class DeleteJob:
    """Delete a Job that is no longer needed: superseded, or finished for longer than its TTL."""

    job: str


Action = StartRun | DeleteJob


@dataclass(frozen=True)
class Decision:
    """What to do, the status to write after it, and when to look again without an event (seconds)."""

    actions: tuple[Action, ...]
    status: StarCatalogueStatus
    again_after: float | None = None


@dataclass
class _Progress:
    """The status while the decision is made, and the reason of its condition `Complete`."""

    status: StarCatalogueStatus
    reason: str = ""
    actions: list[Action] = field(default_factory=list)
    again: list[float] = field(default_factory=list)

    def update(self, **fields: object) -> None:
        self.status = self.status.model_copy(update=fields)


def decide(observed: Observed) -> Decision:
    """Decide what to do next about one catalogue. Called again after its actions, it decides nothing new."""
    catalogue = observed.catalogue
    progress = _Progress(catalogue.status, _reason(catalogue.status))
    _follow(progress, observed)
    _clean_up(progress, observed)
    rerun = wanted_rerun(catalogue)
    if rerun is not None and progress.status.state is not CatalogueState.RUNNING:
        # Store the rerun before starting its Job: a Job always belongs to the rerun that the status names.
        progress.update(state=CatalogueState.PENDING, rerun=rerun, retries=None, message=None, exit_code=None)
        progress.reason = "Rerun"
        progress.again.append(0.0)
        return _decision(progress, observed, accepted=None)
    if progress.status.state is CatalogueState.PENDING and progress.status.retries != catalogue.status.retries:
        # Store and report a failure before the next attempt begins.
        progress.again.append(pause_left(progress.status, observed.now))
        return _decision(progress, observed, accepted=None)
    if progress.status.state in (CatalogueState.PENDING, CatalogueState.REJECTED):
        return _begin(progress, observed)
    return _decision(progress, observed, accepted=None)


def wanted_rerun(catalogue: StarCatalogue) -> int | None:
    """The id of the rerun that has yet to be taken up."""
    rerun = catalogue.spec.rerun
    return rerun.id if rerun is not None and rerun.id > (catalogue.status.rerun or 0) else None


def _reason(status: StarCatalogueStatus) -> str:
    complete = next((one for one in status.conditions if one.type == COMPLETE), None)
    return complete.reason if complete is not None else "Pending"


def _follow(progress: _Progress, observed: Observed) -> None:
    """Bring the latest attempt's progress or outcome into the status."""
    status = progress.status
    latest = max(observed.attempts, key=lambda one: one.number, default=None)
    if latest is not None and latest.number > status.attempt:
        # Created just before the operator was killed.
        progress.update(state=CatalogueState.RUNNING, attempt=latest.number, job=latest.job)
    if progress.status.state is not CatalogueState.RUNNING:
        return
    mine = next((one for one in observed.attempts if one.number == progress.status.attempt), None)
    if mine is None:
        lost = Failure(FailureClass.INFRASTRUCTURE, _JOB_LOST, f"Job {progress.status.job} was deleted")
        _failed(progress, lost, observed.now)
    elif mine.active:
        waiting = mine.observed.waiting or overdue(mine.observed, observed.now)
        if awaited(mine.observed):
            progress.again.append(OVERDUE_SECONDS)
        progress.update(
            started_at=mine.observed.started_at or progress.status.started_at,
            finished_at=None,
            message=f"{waiting[0]}: {waiting[1]}"[:MAX_MESSAGE] if waiting else None,
        )
        progress.reason = waiting[0] if waiting else "Collecting"
    elif mine.report is not None:
        _published(progress, observed, mine, mine.report)
    else:
        progress.update(started_at=mine.observed.started_at or progress.status.started_at)
        unknown = Failure(FailureClass.INFRASTRUCTURE, "ReportLost", f"the outcome of Job {mine.job} is not known")
        _failed(progress, mine.failure or unknown, observed.now)


def _published(progress: _Progress, observed: Observed, attempt: CatalogueAttempt, report: CatalogueReport) -> None:
    spec, name = observed.catalogue.spec, observed.catalogue.metadata.name
    folder = catalogue_folder(spec.campaign, name)
    tables = [
        TableStatus(
            name=table.name,
            rows=table.rows,
            left_out=table.left_out,
            files=[
                CatalogueFile(path=f"{folder}/{table.name}.{kind}", sha256=sha256)
                for kind, sha256 in zip(FORMATS, table.sha256, strict=True)
            ],
        )
        for table in report.tables
    ]
    note = f"{folder}/problems.txt: {report.with_problems} stars with problems" if report.with_problems else None
    progress.update(
        state=CatalogueState.SUCCEEDED,
        tables=tables,
        stars=StarCounts(
            seen=report.seen, without_products=report.without_products, with_problems=report.with_problems
        ),
        message=note,
        exit_code=None,
        started_at=attempt.observed.started_at or progress.status.started_at,
        finished_at=attempt.observed.finished_at or observed.now,
    )
    progress.reason = "Published"


def _failed(progress: _Progress, failure: Failure, now: str) -> None:
    made = dict(progress.status.retries or {})
    again = made.get(failure.kind, 0) < _RETRIES.get(failure.kind, 0)
    if again:
        made[failure.kind] = made.get(failure.kind, 0) + 1
    text = failure.message.strip()
    if failure.kind is FailureClass.OUT_OF_MEMORY:
        text = "the collector was killed for using more memory than its limit: raise spec.resources.memory"
    # The end of a log is more useful than its beginning.
    progress.update(
        state=CatalogueState.PENDING if again else CatalogueState.FAILED,
        retries=made or None,
        message=f"{text[-MAX_MESSAGE:]}" or None,
        exit_code=failure.exit_code,
        finished_at=failure.finished_at or now,
    )
    progress.reason = "CollectionFailed" if failure.reason == "ModuleFailed" else failure.reason


def _clean_up(progress: _Progress, observed: Observed) -> None:
    """Delete Jobs whose outcome is stored once their TTL is over, and superseded ones at once."""
    stored = observed.catalogue.status
    for one in observed.attempts:
        if one.observed.leaving:
            continue
        older = one.number < progress.status.attempt
        if one.active and older:
            progress.actions.append(DeleteJob(one.job))
        elif not one.active and (older or stored.state.final):
            ended = one.observed.finished_at or stored.finished_at or observed.now
            left = observed.job_ttl - seconds_between(ended, observed.now)
            if left > 0:
                progress.again.append(left)
            else:
                progress.actions.append(DeleteJob(one.job))


def _begin(progress: _Progress, observed: Observed) -> Decision:
    """Start the next attempt if the tables fit the pipeline and the pause is over."""
    catalogue, pipeline = observed.catalogue, observed.pipeline
    if pipeline.graph is None:
        return _rejected(progress, observed, pipeline.reason, pipeline.problems)
    if observed.image is None:
        problem = "this operator has no image for catalogues: set images.catalogue in the chart's values"
        return _rejected(progress, observed, "NoCatalogueImage", (problem,))
    problems = table_problems(catalogue.spec, pipeline.graph)
    if problems:
        return _rejected(progress, observed, "SpecInvalid", tuple(problems))
    metadata, number = catalogue.metadata, progress.status.attempt + 1
    job = catalogue_job_name(metadata.name, metadata.uid or "", number)
    order = build_order(catalogue, pipeline.graph, pipeline.revision, job)
    size = len(order.to_json())
    if size > MAX_ORDER:
        what = f"{size} bytes as JSON, of at most {MAX_ORDER}"
        problem = f"spec.tables: {what}: shorten descriptions or make two catalogues"
        return _rejected(progress, observed, "SpecInvalid", (problem,))
    pause = pause_left(progress.status, observed.now)
    progress.update(state=CatalogueState.PENDING)
    if pause > 0:
        progress.again.append(pause)
        return _decision(progress, observed, accepted=True)
    owner = Owner(metadata.name, metadata.namespace or "", metadata.uid or "", metadata.labels, catalogue.kind)
    timeout = seconds(catalogue.spec.timeout)
    progress.actions.append(
        StartRun(CatalogueRun(owner, number, order, catalogue.spec.resources, timeout, observed.image))
    )
    progress.update(
        state=CatalogueState.RUNNING,
        attempt=number,
        job=job,
        message=None,
        exit_code=None,
        started_at=observed.now,
        finished_at=None,
    )
    progress.reason = "Collecting"
    return _decision(progress, observed, accepted=True)


def _rejected(progress: _Progress, observed: Observed, reason: str, problems: tuple[str, ...]) -> Decision:
    message = "; ".join(problems)
    progress.update(state=CatalogueState.REJECTED, message=message[:MAX_MESSAGE])
    progress.reason = "Rejected"
    return _decision(progress, observed, accepted=False, why=reason)


def _decision(progress: _Progress, observed: Observed, accepted: bool | None, why: str = "Accepted") -> Decision:
    verdict = (accepted, why) if accepted is not None else None
    status = with_conditions(progress.status, observed.catalogue, progress.reason, verdict, observed.now)
    return Decision(tuple(progress.actions), status, min(progress.again, default=None))
