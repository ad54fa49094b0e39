"""Jobs that make no pod: a quota or a policy may forbid it, and no event will ever say so."""

from plato_sas.jobs.attempt import Attempt
from plato_sas.plan.times import seconds_between

POD_EXPECTED_SECONDS = 30.0  # a Job controller that is not hindered makes its pod sooner


def no_pod_yet(attempt: Attempt) -> bool:
    return attempt.active and attempt.pod is None


def without_pod(attempt: Attempt, now: str) -> tuple[str, str] | None:
    """What to say of a Job that has made no pod for longer than that takes: a quota or a policy forbids it."""
    if not no_pod_yet(attempt) or attempt.started_at is None:
        return None
    if seconds_between(attempt.started_at, now) < POD_EXPECTED_SECONDS:
        return None
    return "PodNotCreated", f"Job {attempt.job} has made no pod; `kubectl describe job {attempt.job}` says why"
