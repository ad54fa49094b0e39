"""Stars that stand still without a reason."""

import pytest
from prometheus_client import REGISTRY

from plato_sas.api import Document
from plato_sas.controller.kube.resources import JOB, PROCESSING
from plato_sas.controller.stars.stuck import StuckStars
from plato_sas.controller.view.view import View
from tests.support.objects import job, star


def standing(name: str, state: str, reason: str = "Progressing", message: str = "", version: int = 1) -> Document:
    condition = {"type": "Complete", "status": "False", "reason": reason, "message": message}
    return star(name, version) | {"status": {"state": state, "conditions": [condition]}}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def watched(*stars: Document) -> tuple[View, StuckStars, Clock]:
    view, clock = View(), Clock()
    for one in stars:
        view.put(PROCESSING, one)
    return view, StuckStars(view, 100.0, clock), clock


@pytest.mark.parametrize("one", [star("a"), standing("a", "Pending"), standing("a", "Running")])
def test_no_job_no_reason_no_change(one: Document) -> None:
    _, stars, clock = watched(one)
    assert stars.look() == []
    clock.now = 99
    assert stars.look() == []
    clock.now = 100
    assert stars.look() == ["a"]
    assert REGISTRY.get_sample_value("plato_sas_stuck_stars") == 1


@pytest.mark.parametrize(
    "one",
    [
        standing("a", "Succeeded", "AllStepsFinished"),
        standing("a", "Suspended", "Suspended"),
        standing("a", "Rejected", "Rejected"),
        standing("a", "Pending", "WaitingForSlot"),
        standing("a", "Running", message="b: TemporaryFailure: later"),
    ],
)
def test_a_star_that_rests_or_says_what_it_waits_for(one: Document) -> None:
    _, stars, clock = watched(one)
    stars.look()
    clock.now = 1000
    assert stars.look() == []


def test_a_change_is_progress_and_so_is_a_job() -> None:
    view, stars, clock = watched(standing("a", "Running"), standing("b", "Running"))
    view.put(JOB, job("j", "b"))
    stars.look()
    clock.now = 90
    view.put(PROCESSING, standing("a", "Running", version=2))
    stars.look()
    clock.now = 150
    assert stars.look() == []
    clock.now = 190
    assert stars.look() == ["a"]
