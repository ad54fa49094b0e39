"""Names, labels and annotations of everything the operator makes, in one place."""

import hashlib

from plato_sas.api import GROUP

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGER = "plato-sas-operator"
SELECTOR = f"{MANAGED_BY_LABEL}={MANAGER}"
PROCESSING_LABEL = f"{GROUP}/processing"
STAR_LABEL = f"{GROUP}/star"
CAMPAIGN_LABEL = f"{GROUP}/campaign"
STEP_LABEL = f"{GROUP}/step"
ATTEMPT_LABEL = f"{GROUP}/attempt"
JOB_NAME_LABEL = "batch.kubernetes.io/job-name"
# Set by Kueue's users; copied to the Jobs so that Kueue can admit them.
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"

STAGE_IN = "stage-in"
PUBLISH = "publish"
_STEP_PREFIX = "step-"

_MAX_NAME = 63


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
    tail = f"-{step}-{hashlib.sha256(f'{uid}/{step}'.encode()).hexdigest()[:10]}-{attempt}"
    head = processing[: _MAX_NAME - len(tail)].rstrip("-.")
    return head + tail


def label_value(text: str) -> str:
    """A CR's name as a label value: cut to 63 characters, told apart by a digest."""
    if len(text) <= _MAX_NAME:
        return text
    return f"{text[:52]}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
