"""A catalogue's next step: a pure function of what was observed."""

from dataclasses import dataclass, field
from typing import Literal

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
from plato_sas.plan.catalogue.tables import MAX_ORDER, build_order, table_problems
from plato_sas.plan.conditions import ACCEPTED, COMPLETE, with_condition
from plato_sas.plan.graph.graph import Graph
from plato_sas.plan.messages import MAX_MESSAGE
from plato_sas.plan.missing_pod import POD_EXPECTED_SECONDS, no_pod_yet, without_pod
from plato_sas.plan.retries import INFRASTRUCTURE_RETRIES, pause_left
from plato_sas.plan.times import seconds_between

TEMPORARY_RETRIES = 3
_RETRIES = {FailureClass.TEMPORARY: TEMPORARY_RETRIES, FailureClass.INFRASTRUCTURE: INFRASTRUCTURE_RETRIES}
_JOB_LOST = "JobLost"


@dataclass(frozen=True)
class PipelineNow:
    """The pipeline as it is now, for a catalogue that may have to begin: its graph, or why there is none."""

    graph: Graph | None = None
    revision: str = ""
    reason: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Observed:
    """`attempts`: the catalogue's Jobs that exist. `image`: the collector's, if the site has one."""

    catalogue: StarCatalogue
    attempts: tuple[CatalogueAttempt, ...]
    pipeline: PipelineNow
    image: str | None
    now: str
    job_ttl: int


@dataclass(frozen=True)
class StartCatalogue:
    """Create the Job of an attempt."""

    run: CatalogueRun


@dataclass(frozen=True)
class RemoveJob:
    """Delete a Job that nobody waits for: an older one, or one that has ended long enough ago."""

    job: str


Action = StartCatalogue | RemoveJob


@dataclass(frozen=True)
class Decision:
    """Actions are carried out first, then the status is written."""

    status: StarCatalogueStatus
    actions: tuple[Action, ...] = ()
    again_after: float | None = None  # seconds


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
    """What to do next about one catalogue. Called again after its actions, it finds them done."""
    catalogue = observed.catalogue
    progress = _Progress(catalogue.status, _reason(catalogue.status))
    _follow(progress, observed)
    _let_go(progress, observed)
    rerun = catalogue.spec.rerun
    if rerun is not None and rerun.id > (progress.status.rerun or 0) and _idle(progress.status):
        # Written down before anything of it starts: a Job that is found belongs to the rerun that the status names.
        progress.update(state=CatalogueState.PENDING, rerun=rerun.id, retries=None, message=None, exit_code=None)
        progress.reason = "Rerun"
        progress.again.append(0.0)
        return _decision(progress, observed, accepted=None)
    if progress.status.state is CatalogueState.PENDING and progress.status.retries != catalogue.status.retries:
        # A failure is written down, and told, before the next attempt begins.
        progress.again.append(pause_left(progress.status, observed.now))
        return _decision(progress, observed, accepted=None)
    if progress.status.state in (CatalogueState.PENDING, CatalogueState.REJECTED):
        return _begin(progress, observed)
    return _decision(progress, observed, accepted=None)


def refused(catalogue: StarCatalogue, message: str, permanent: bool, now: str) -> StarCatalogueStatus:
    """The status if the API server refused the Job; `permanent`: it would again, whatever changes around it."""
    state = CatalogueState.FAILED if permanent else CatalogueState.PENDING
    fields = {
        "state": state,
        "message": message[-MAX_MESSAGE:],
        "exit_code": None,
        "finished_at": now if permanent else None,
    }
    return _with_conditions(catalogue.status.model_copy(update=fields), catalogue, "JobRefused", None, now)


def _idle(status: StarCatalogueStatus) -> bool:
    return status.state is not CatalogueState.RUNNING


def _reason(status: StarCatalogueStatus) -> str:
    complete = next((one for one in status.conditions if one.type == COMPLETE), None)
    return complete.reason if complete is not None else "Pending"


def _follow(progress: _Progress, observed: Observed) -> None:
    """What has become of the latest attempt."""
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
        waiting = mine.observed.waiting or without_pod(mine.observed, observed.now)
        if no_pod_yet(mine.observed):
            progress.again.append(POD_EXPECTED_SECONDS)
        progress.update(
            started_at=mine.observed.started_at or progress.status.started_at,
            finished_at=None,
            message=f"{waiting[0]}: {waiting[1]}"[:MAX_MESSAGE] if waiting else None,
        )
        progress.reason = waiting[0] if waiting and waiting[0].isalpha() else "Collecting"
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
    told = f"{folder}/problems.txt: {report.with_problems} stars with problems" if report.with_problems else None
    progress.update(
        state=CatalogueState.SUCCEEDED,
        tables=tables,
        stars=StarCounts(
            seen=report.seen, without_products=report.without_products, with_problems=report.with_problems
        ),
        message=told,
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
    # The end of a log says more than its beginning.
    progress.update(
        state=CatalogueState.PENDING if again else CatalogueState.FAILED,
        retries=made or None,
        message=f"{text[-MAX_MESSAGE:]}" or None,
        exit_code=failure.exit_code,
        finished_at=failure.finished_at or now,
    )
    progress.reason = "CollectionFailed" if failure.reason == "ModuleFailed" else failure.reason


def _let_go(progress: _Progress, observed: Observed) -> None:
    """Jobs whose outcome a stored status has, when they have had their time; older ones that still run, at once."""
    stored = observed.catalogue.status
    for one in observed.attempts:
        if one.observed.leaving:
            continue
        older = one.number < progress.status.attempt
        if one.active and older:
            progress.actions.append(RemoveJob(one.job))
        elif not one.active and (older or stored.state.final):
            ended = one.observed.finished_at or stored.finished_at or observed.now
            left = observed.job_ttl - seconds_between(ended, observed.now)
            if left > 0:
                progress.again.append(left)
            else:
                progress.actions.append(RemoveJob(one.job))


def _begin(progress: _Progress, observed: Observed) -> Decision:
    """Start the next attempt, if the tables fit the pipeline and no pause is left."""
    catalogue, pipeline = observed.catalogue, observed.pipeline
    if pipeline.graph is None:
        return _rejected(progress, observed, pipeline.reason, pipeline.problems)
    if observed.image is None:
        told = "this operator has no image for catalogues: set images.catalogue in the chart's values"
        return _rejected(progress, observed, "NoCatalogueImage", (told,))
    problems = table_problems(catalogue.spec, pipeline.graph)
    if problems:
        return _rejected(progress, observed, "SpecInvalid", tuple(problems))
    metadata, number = catalogue.metadata, progress.status.attempt + 1
    job = catalogue_job_name(metadata.name, metadata.uid or "", number)
    order = build_order(catalogue, pipeline.graph, pipeline.revision, job)
    size = len(order.to_json())
    if size > MAX_ORDER:
        told = f"spec.tables: {size} bytes as JSON, of at most {MAX_ORDER}: shorten descriptions or make two catalogues"
        return _rejected(progress, observed, "SpecInvalid", (told,))
    pause = pause_left(progress.status, observed.now)
    progress.update(state=CatalogueState.PENDING)
    if pause > 0:
        progress.again.append(pause)
        return _decision(progress, observed, accepted=True)
    owner = Owner(metadata.name, metadata.namespace or "", metadata.uid or "", metadata.labels, catalogue.kind)
    timeout = seconds(catalogue.spec.timeout)
    progress.actions.append(
        StartCatalogue(CatalogueRun(owner, number, order, catalogue.spec.resources, timeout, observed.image))
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
    status = _with_conditions(progress.status, observed.catalogue, progress.reason, verdict, observed.now)
    return Decision(status, tuple(progress.actions), min(progress.again, default=None))


def _with_conditions(
    status: StarCatalogueStatus, catalogue: StarCatalogue, reason: str, accepted: tuple[bool, str] | None, now: str
) -> StarCatalogueStatus:
    """`accepted`: whether the spec was found sound just now, and why; None where nobody has looked."""
    conditions, told = status.conditions, status.message or ""
    if accepted is not None:
        sound, why = accepted
        verdict: Literal["True", "False"] = "True" if sound else "False"
        conditions = with_condition(conditions, catalogue, ACCEPTED, verdict, why, "" if sound else told, now)
    complete: Literal["True", "False"] = "True" if status.state is CatalogueState.SUCCEEDED else "False"
    conditions = with_condition(conditions, catalogue, COMPLETE, complete, reason, told, now)
    return status.model_copy(update={"conditions": conditions, "observed_generation": catalogue.metadata.generation})
