"""Keep a star from starting Jobs while others write, or may write, to its products."""

from typing import NamedTuple

from plato_sas.api import Document, StarState
from plato_sas.controller.stars.window import AdmissionWindow
from plato_sas.controller.view.view import View
from plato_sas.jobs.attempt import job_finished
from plato_sas.jobs.names import JOB_NAME_LABEL
from plato_sas.jobs.pods import pod_finished


class Claim(NamedTuple):
    """A star's claim to its folder of the product tree; the smallest wins.

    Busy stars come first, then stars that have begun, then the oldest: two at once would mix their products.
    """

    not_busy: bool
    not_begun: bool
    created: str
    name: str


class Claims:
    """Decides which star may write to a folder of the product tree."""

    def __init__(self, view: View, window: AdmissionWindow) -> None:
        self._view = view
        self._window = window

    def held(self, name: str, jobs: set[str]) -> tuple[str, str] | None:
        """Reason and message if the star must wait for pods of Jobs other than its active `jobs`, or for another star
        on the same products.
        """
        for pod in self._view.running_pods_of_star(name):
            if pod["metadata"].get("labels", {}).get(JOB_NAME_LABEL) not in jobs:
                return "PodsTerminating", f"pod {pod['metadata']['name']} of an earlier Job has not ended yet"
        rivals = self._view.rivals(name)
        stored = self._view.processing(name) if rivals else None
        mine = self._claim(stored) if stored is not None else None
        for other in rivals:
            if mine is not None and self._comes_before(other, mine):
                rival = other["metadata"]["name"]
                return "ProductsInUse", f"StarProcessing {rival!r} writes to the same products (campaign and star)"
        return None

    def _comes_before(self, other: Document, mine: Claim) -> bool:
        theirs = self._claim(other)
        if theirs is None or (theirs.not_begun and _state(other) is StarState.REJECTED):
            return False
        return theirs < mine

    def _claim(self, stored: Document) -> Claim | None:
        """A star's claim to its folder of the product tree; None if it is final and nothing of it runs."""
        metadata = stored["metadata"]
        name = metadata["name"]
        steps = stored.get("status", {}).get("steps", [])
        active = any(self._runs(job) for job in self._view.jobs_of(name))
        wanted = (stored["spec"].get("rerun") or {}).get("id", 0) > stored.get("status", {}).get("rerun", 0)
        if _state(stored).final and not active and not wanted:
            return None
        busy = active or self._window.holds(name)
        begun = busy or any(step.get("attempt") for step in steps)
        return Claim(not busy, not begun, metadata["creationTimestamp"], name)

    def _runs(self, job: Document) -> bool:
        """Whether the Job's pod still runs; the Job controller declares the Job finished a second or two later."""
        return not job_finished(job) and not any(map(pod_finished, self._view.pods_of(job["metadata"]["name"])))


def _state(stored: Document) -> StarState:
    return StarState(stored.get("status", {}).get("state", StarState.PENDING))
