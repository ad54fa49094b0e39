"""Steps that exceed their timeout or cannot start: shorten their pod's deadline, and the kubelet stops the pod."""

from collections.abc import Iterable
from dataclasses import dataclass

from plato_sas.api import seconds
from plato_sas.jobs.attempt import Attempt, StepTimes
from plato_sas.plan.graph.graph import Graph
from plato_sas.plan.overdue import OVERDUE_SECONDS
from plato_sas.plan.times import seconds_between

# Default limit for a container to start: its image, volumes or configuration may be missing.
START_SECONDS = 600


@dataclass(frozen=True)
class LimitPod:
    """Set a pod's deadline in seconds from its start: one of its steps has timed out or cannot start."""

    pod: str
    seconds: int


def timeouts(
    attempts: Iterable[Attempt], graph: Graph, now: str, start_seconds: int = START_SECONDS
) -> tuple[list[LimitPod], list[float]]:
    """The pods to stop now, and the seconds left for the others. `attempts` are active."""
    limits: list[LimitPod] = []
    left: list[float] = []
    for one in attempts:
        remaining = _remaining(one, graph, now, start_seconds)
        if remaining is None or one.pod is None or one.pod_started_at is None:
            continue
        if remaining > 0:
            left.append(remaining)
            continue
        limit = max(1, int(seconds_between(one.pod_started_at, now)))
        if one.pod_deadline is None or one.pod_deadline > limit:
            limits.append(LimitPod(one.pod, limit))
    return limits, left


def _remaining(one: Attempt, graph: Graph, now: str, start_seconds: int) -> float | None:
    """Seconds left for what the pod does now; None if only the pod's own deadline limits it."""
    step = one.current
    begun = one.begun.get(step, StepTimes()).started_at if step is not None else None
    if step is not None and begun is not None:
        return seconds(graph.step(step).module.timeout) - seconds_between(begun, now)
    if one.idle_since is None:
        return None
    # Nothing is stopped before it is said why: on a busy node a container may take its time.
    limit = start_seconds if one.waiting is not None else max(start_seconds, OVERDUE_SECONDS)
    return limit - seconds_between(one.idle_since, now)
