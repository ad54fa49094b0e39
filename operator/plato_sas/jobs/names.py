"""Names, labels and annotations of everything the operator makes, in one place."""

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
JOB_NAME_LABEL = "batch.kubernetes.io/job-name"
# Set by Kueue's users; copied to the Jobs so that Kueue can admit them.
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"

STAGE_IN = "stage-in"
PUBLISH = "publish"
_STEP_PREFIX = "step-"

_MAX_NAME = 63
_STEP_AND_NUMBER = re.compile(r"([a-z0-9-]+)=([0-9]{1,9})")


def step_container(step: str) -> str:
    """Container of a step; the prefix keeps a step named `publish` apart from the stager's."""
    return _STEP_PREFIX + step


def container_step(container: str) -> str | None:
    """The step that a container runs, None for the stager's own."""
    return container.removeprefix(_STEP_PREFIX) if container.startswith(_STEP_PREFIX) else None


def job_name(processing: str, uid: str, step: str, attempt: int) -> str:
    """The one name that an attempt's Job can have: to create it twice is a conflict, not a second run.

    The CR's uid is part of it, so that a star deleted and created again never meets its former Jobs. The Job
    controller adds a suffix of six characters to a pod's name and cuts long ones itself.
    """
    return _job_name(processing, f"{uid}/{step}", step, attempt)


def salvage_name(processing: str, uid: str, job: str, step: str, attempt: int) -> str:
    """The one name of the n-th salvage of what a Job left, `step` being the first to be published."""
    return _job_name(processing, f"{uid}/{job}/{step}", "salvage", attempt)


def salvage_number(job: str) -> int:
    """The n of `salvage_name`; 0 for a name that it has not made."""
    number = job.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


def _job_name(processing: str, identity: str, word: str, number: int) -> str:
    tail = f"-{word}-{hashlib.sha256(identity.encode()).hexdigest()[:10]}-{number}"
    head = processing[: _MAX_NAME - len(tail)].rstrip("-.")
    return head + tail


def steps_annotation(numbers: Mapping[str, int]) -> str:
    """The value of STEPS_ANNOTATION."""
    return ",".join(f"{step}={number}" for step, number in numbers.items())


def annotated_steps(annotation: str) -> dict[str, int]:
    """What `steps_annotation` has written, in its order; nothing if somebody else has."""
    pairs = [_STEP_AND_NUMBER.fullmatch(pair) for pair in annotation.split(",")]
    return {pair[1]: int(pair[2]) for pair in pairs if pair is not None} if all(pairs) else {}


def label_value(text: str) -> str:
    """A CR's name as a label value: cut to 63 characters, told apart by a digest."""
    if len(text) <= _MAX_NAME:
        return text
    return f"{text[:52]}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
