"""Names, labels and annotations of everything the operator creates."""

import hashlib
import re
from collections.abc import Mapping

from plato_sas.api import GROUP

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGER = "plato-sas-operator"
SELECTOR = f"{MANAGED_BY_LABEL}={MANAGER}"
PROCESSING_LABEL = f"{GROUP}/processing"
STAR_LABEL = f"{GROUP}/star"
CAMPAIGN_LABEL = f"{GROUP}/campaign"
STEP_LABEL = f"{GROUP}/step"  # the first of the Job's steps
CATALOGUE_LABEL = f"{GROUP}/catalogue"
# The Job's steps with their attempt numbers, as in "msap1-01=1,msap1-02=2".
STEPS_ANNOTATION = f"{GROUP}/steps"
# On a Job that runs nothing: it finds out which steps need not run.
CHECK_ANNOTATION = f"{GROUP}/check"
JOB_NAME_LABEL = "batch.kubernetes.io/job-name"
# Set by Kueue's users; copied to the Jobs so that Kueue can admit them.
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"

CHECK = "check"
STAGE_IN = "stage-in"
PUBLISH = "publish"
_STEP_PREFIX = "step-"

_MAX_NAME = 63
_SALVAGE = re.compile(r"-salvage-[0-9a-f]{10}-[0-9]+$")
_STEP_AND_NUMBER = re.compile(r"([a-z0-9-]+)=([0-9]{1,9})")


def step_container(step: str) -> str:
    """A step's container; the prefix distinguishes a step named `publish` from the stager's container."""
    return _STEP_PREFIX + step


def container_step(container: str) -> str | None:
    """The step that a container runs; None for the stager's containers."""
    return container.removeprefix(_STEP_PREFIX) if container.startswith(_STEP_PREFIX) else None


def ours(container: str) -> bool:
    """Whether a container is of the operator's making, not injected by the site."""
    return container in (CHECK, STAGE_IN, PUBLISH) or container_step(container) is not None


def job_name(processing: str, uid: str, step: str, attempt: int) -> str:
    """The unique name of an attempt's Job: creating it twice is a conflict, not a second run.

    The resource's uid is part of it, so that a star that was deleted and created again does not meet its former Jobs.
    The Job controller appends six characters to form the pod's name, and shortens long names itself.
    """
    return _job_name(processing, f"{uid}/{step}", step, attempt)


def salvage_name(processing: str, uid: str, job: str, step: str, attempt: int) -> str:
    """The unique name of the n-th salvage of a Job; `step` is the first step to publish."""
    return _job_name(processing, f"{uid}/{job}/{step}", "salvage", attempt)


def salvage_number(job: str) -> int:
    """The n of `salvage_name`; 0 for any other name."""
    number = job.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


def made_for(job: str, processing: str, uid: str, numbers: Mapping[str, int]) -> bool:
    """Whether a Job has a name that the operator gives for these steps; others may have made any Job."""
    if not numbers:
        return False
    first, number = next(iter(numbers.items()))
    salvage = _SALVAGE.search(job)
    return job == job_name(processing, uid, first, number) or (
        salvage is not None and job == processing[: _MAX_NAME - len(salvage[0])].rstrip("-.") + salvage[0]
    )


def _job_name(processing: str, identity: str, word: str, number: int) -> str:
    tail = f"-{word}-{hashlib.sha256(identity.encode()).hexdigest()[:10]}-{number}"
    head = processing[: _MAX_NAME - len(tail)].rstrip("-.")
    return head + tail


def steps_annotation(numbers: Mapping[str, int]) -> str:
    """The value of STEPS_ANNOTATION."""
    return ",".join(f"{step}={number}" for step, number in numbers.items())


def annotated_steps(annotation: str) -> dict[str, int]:
    """The inverse of `steps_annotation`; empty for any other text."""
    pairs = [_STEP_AND_NUMBER.fullmatch(pair) for pair in annotation.split(",")]
    return {pair[1]: int(pair[2]) for pair in pairs if pair is not None} if all(pairs) else {}


def label_value(text: str) -> str:
    """A resource's name as a label value. A long one is cut to 63 characters and made unique by a digest."""
    # One of exactly 63 characters as well: it might be another one's cut name.
    if len(text) < _MAX_NAME:
        return text
    return f"{text[:52]}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
