"""Jobs without a pod: a quota or a policy may forbid it, and no watch event would ever follow."""

from plato_sas.jobs.attempt import Attempt
from plato_sas.plan.times import seconds_between

POD_EXPECTED_SECONDS = 30.0  # the Job controller usually creates the pod much sooner


def no_pod_yet(attempt: Attempt) -> bool:
    return attempt.active and attempt.pod is None


def without_pod(attempt: Attempt, now: str) -> tuple[str, str] | None:
    """Reason and message for a Job whose pod is overdue; None for any other."""
    if not no_pod_yet(attempt) or attempt.started_at is None:
        return None
    if seconds_between(attempt.started_at, now) < POD_EXPECTED_SECONDS:
        return None
    return "PodNotCreated", f"Job {attempt.job} has made no pod; `kubectl describe job {attempt.job}` says why"
