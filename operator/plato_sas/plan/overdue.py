"""What should have happened by now: a Job's pod, or a pod's next container. No watch event would ever tell."""

from plato_sas.jobs.attempt import Attempt
from plato_sas.plan.times import seconds_between

OVERDUE_SECONDS = 30.0  # both usually take a second or two


def awaited(attempt: Attempt) -> bool:
    """Whether something of the Job is awaited that may never come: look again without an event."""
    return attempt.active and attempt.waiting is None and (attempt.pod is None or attempt.idle_since is not None)


def overdue(attempt: Attempt, now: str) -> tuple[str, str] | None:
    """Reason and message for a Job that does not get going; None for any other."""
    since = attempt.started_at if attempt.pod is None else attempt.idle_since
    if not awaited(attempt) or since is None or seconds_between(since, now) < OVERDUE_SECONDS:
        return None
    if attempt.pod is None:
        return "PodNotCreated", f"Job {attempt.job} has made no pod; `kubectl describe job {attempt.job}` says why"
    text = f"pod {attempt.pod} does not begin its next container; `kubectl describe pod {attempt.pod}` says why"
    return "ContainerCreating", text
