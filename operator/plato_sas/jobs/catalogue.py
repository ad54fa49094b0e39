"""A catalogue as a Job: `prepare` makes the folder to write to, the collector reads the campaign and writes there."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from plato_sas.api import CatalogueResources, Document
from plato_sas.collector.order import CAMPAIGN_MOUNT, CATALOGUES, CATALOGUES_MOUNT, ORDER_VARIABLE, CatalogueOrder
from plato_sas.collector.report import CatalogueReport, parse_report
from plato_sas.jobs import names
from plato_sas.jobs.attempt import Attempt, AttemptState, attempt
from plato_sas.jobs.failure import Failure, FailureClass
from plato_sas.jobs.one_pod import LOCKED_DOWN, SCRATCH_MOUNT, one_pod_job, products_volume, variable
from plato_sas.jobs.pods import messages, newest
from plato_sas.jobs.stage import Owner, Site
from plato_sas.stager.roots import PRODUCTS_MOUNT

STEP = "catalogue"  # the collector counts as the only step of its pod when failures are classified
_PREPARE = "prepare"
_PREPARE_RESOURCES = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
_SCRATCH_LIMIT = "64Mi"


@dataclass(frozen=True)
class CatalogueRun:
    """An attempt at a catalogue, ready to be built. `image` is the collector's."""

    owner: Owner
    number: int
    order: CatalogueOrder
    resources: CatalogueResources
    timeout_seconds: int
    image: str

    @property
    def job(self) -> str:
        return self.order.attempt


@dataclass(frozen=True)
class CatalogueAttempt:
    """One Job of a catalogue as observed. `report` if it has published, `failure` if it finished without."""

    observed: Attempt
    report: CatalogueReport | None = None

    @property
    def job(self) -> str:
        return self.observed.job

    @property
    def number(self) -> int:
        """0 for a Job that the operator did not make."""
        return self.observed.numbers.get(STEP, 0)

    @property
    def active(self) -> bool:
        return self.observed.active

    @property
    def failure(self) -> Failure | None:
        return self.observed.failure if self.report is None else None


def catalogue_job_name(catalogue: str, uid: str, number: int) -> str:
    """The unique name of an attempt's Job."""
    return names.job_name(catalogue, uid, STEP, number)


def build_catalogue_job(run: CatalogueRun, site: Site) -> Document:
    """The Job of an attempt at a catalogue, complete and deterministic."""
    labels = {
        names.CATALOGUE_LABEL: names.label_value(run.owner.name),
        names.CAMPAIGN_LABEL: run.order.campaign,
    }
    annotations = {names.STEPS_ANNOTATION: names.steps_annotation({STEP: run.number})}
    return one_pod_job(run.job, run.owner, labels, annotations, site, _body(run, site))


def _body(run: CatalogueRun, site: Site) -> Document:
    campaign = run.order.campaign
    memory = run.resources.memory
    return {
        "activeDeadlineSeconds": run.timeout_seconds,
        "initContainers": [
            _container(_PREPARE, run, site, _PREPARE_RESOURCES, [{"name": "products", "mountPath": PRODUCTS_MOUNT}]),
        ],
        "containers": [
            _container(
                STEP,
                run,
                site,
                {"requests": {"cpu": run.resources.cpu, "memory": memory}, "limits": {"memory": memory}},
                [
                    # It reads what modules have written, and may write only to the catalogues' folder.
                    {"name": "products", "mountPath": CAMPAIGN_MOUNT, "subPath": campaign, "readOnly": True},
                    {"name": "products", "mountPath": CATALOGUES_MOUNT, "subPath": f"{campaign}/{CATALOGUES}"},
                    {"name": "scratch", "mountPath": SCRATCH_MOUNT},
                ],
            ),
        ],
        "volumes": [products_volume(site), {"name": "scratch", "emptyDir": {"sizeLimit": _SCRATCH_LIMIT}}],
    }


def _container(name: str, run: CatalogueRun, site: Site, resources: Document, mounts: list[Document]) -> Document:
    return {
        "name": names.step_container(name),
        "image": run.image,
        "imagePullPolicy": site.image_pull_policy,
        "args": ["collect" if name == STEP else name],
        "env": [variable(ORDER_VARIABLE, run.order.to_json())],
        "resources": resources,
        "securityContext": LOCKED_DOWN,
        # A failed collector's last log lines reach the status without reading its log.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }


def catalogue_attempt(job: Document, pods: Iterable[Document]) -> CatalogueAttempt:
    """Read an attempt from its Job and the Job's pods."""
    pods = list(pods)
    found = attempt(job, pods)
    if found.active:
        return CatalogueAttempt(found)
    one = newest(pods)
    text = messages(one).get(names.step_container(STEP), "") if one is not None else ""
    report = parse_report(text) if found.state is AttemptState.SUCCEEDED else None
    if report is None and found.state is AttemptState.SUCCEEDED and one is not None:
        text = f"the collector of Job {found.job} ended without a report"
        found = replace(found, failure=Failure(FailureClass.INFRASTRUCTURE, "ReportLost", text, STEP))
    return CatalogueAttempt(found, report)
