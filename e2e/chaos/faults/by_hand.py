"""Somebody deletes what is not theirs: Jobs, pods and stars, running and ended, seen by the operator or not."""

from collections.abc import Callable
from dataclasses import replace

from e2e.chaos.drill import Drill
from e2e.chaos.fault import Fault
from e2e.chaos.judge import DELETED, FINISHED, Truth
from e2e.chaos.operator_process import OperatorProcess
from e2e.chaos.workload import FUSED, PER_STEP, Star, published_steps, whole

_ROWS = {"jobs": "job-deleted", "pods": "pod-deleted"}
_STAR_ROW = "star-deleted"

Act = Callable[[], bool]
"""Does it if it can be done now; whether it was done."""


def _star(prefix: str, stages: str, row: str) -> Star:
    return replace(whole(f"{prefix}-{stages.lower()}", stages, sleep="1.5"), fault=row)


def _modes(drill: Drill) -> tuple[str, ...]:
    return (FUSED,) if drill.short else (FUSED, PER_STEP)


def _by_hand(drill: Drill) -> None:
    operator, _ = drill.operator(PLATO_SAS_MAX_ACTIVE_STARS="20")
    _in_mid_run(drill)
    _before_it_was_seen(drill, operator)


def _in_mid_run(drill: Drill) -> None:
    """Delete Jobs, pods and stars while a module runs; Jobs and pods of a star several times."""
    modes = _modes(drill)
    plans: list[tuple[Star, list[Act]]] = []
    for plural, row in _ROWS.items():
        for stages in modes:
            star = _star(f"running-{plural}", stages, row)
            acts = [_deletion(drill, plural, star.name, number) for number in ((1,) if drill.short else (0, 1, 2))]
            plans.append((star, acts))
    for stages in modes:
        plans.append((star := _star("star-gone", stages, _STAR_ROW), [_end_of(drill, star)]))
        plans.append((star := _star("star-again", stages, _STAR_ROW), [_end_of(drill, star), _new_start(drill, star)]))
    drill.create([star for star, _ in plans])

    def look() -> bool:
        seen = drill.seen()
        for star, acts in plans:
            if acts and acts[0]():
                acts.pop(0)
            elif star.name in seen and seen[star.name].state in FINISHED:
                acts.clear()
        return not any(acts for _, acts in plans)

    drill.until(look, "everything deleted")


def _deletion(drill: Drill, plural: str, star: str, final_steps: int) -> Act:
    def act() -> bool:
        name = _busy(drill, plural, star, final_steps)
        if name is None or not drill.arena.api.delete(plural, name):
            return False
        drill.count(_ROWS[plural])
        return True

    return act


def _end_of(drill: Drill, star: Star) -> Act:
    """Delete a star that runs."""

    def act() -> bool:
        if _busy(drill, "jobs", star.name, 0) is None:
            return False
        drill.arena.api.delete("starprocessings", star.name)
        drill.count(_STAR_ROW)
        truth = Truth(star.name, DELETED, {}, publishes=published_steps(star))
        drill.replace_truth(star, replace(star, truth=truth))
        return True

    return act


def _new_start(drill: Drill, star: Star) -> Act:
    """Create a deleted star again as soon as its name is free."""

    def act() -> bool:
        if star.name in drill.seen():
            return False
        drill.stars = [one for one in drill.stars if one.name != star.name]
        drill.create([star])
        return True

    return act


def _busy(drill: Drill, plural: str, star: str, final_steps: int) -> str | None:
    """The Job, or its pod, of a star that has so many final steps and one that runs."""
    seen = drill.seen().get(star)
    if seen is None:
        return None
    states = [step.state for step in seen.steps.values()]
    if sum(state in ("Succeeded", "Publishing") for state in states) < final_steps or "Running" not in states:
        return None
    return next(iter(_names(drill, plural, star, ended=False)), None)


def _names(drill: Drill, plural: str, star: str, *, ended: bool) -> list[str]:
    if plural == "jobs":
        return drill.jobs(star, active=not ended)
    found = []
    for pod in drill.arena.api.items("pods"):
        finished = pod["status"].get("phase") in ("Succeeded", "Failed")
        going = "deletionTimestamp" in pod["metadata"]
        if pod["metadata"].get("labels", {}).get("plato-sas.io/star") == star and finished is ended and not going:
            found.append(pod["metadata"]["name"])
    return found


def _before_it_was_seen(drill: Drill, operator: OperatorProcess) -> None:
    """Delete Jobs and pods that have ended well before the operator could read their outcome: it stands still."""
    modes = _modes(drill)
    stars = [(_star(f"ended-{plural}", stages, row), plural) for plural, row in _ROWS.items() for stages in modes]
    drill.create([star for star, _ in stars])
    drill.until(lambda: all(drill.jobs(star.name, active=True) for star, _ in stars), "every star has a Job")
    operator.freeze()
    drill.undo(operator.thaw)
    drill.until(lambda: not any(drill.jobs(star.name, active=True) for star, _ in stars), "every Job has ended")
    for star, plural in stars:
        for name in _names(drill, plural, star.name, ended=True):
            drill.arena.api.delete(plural, name)
            drill.count(_ROWS[plural])
    operator.thaw()


FAULTS = (
    Fault(
        "deleted-by-hand",
        {
            "job-deleted": "a Job is deleted: while its module runs, and after its end before the operator saw it",
            "pod-deleted": "a pod is deleted: while its module runs, and after its end before the operator saw it",
            "star-deleted": "a StarProcessing is deleted in mid-run; created again at once, or not",
        },
        _by_hand,
        limit_seconds=300,
    ),
)
