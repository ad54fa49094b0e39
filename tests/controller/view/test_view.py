"""The view: what is known of the namespace, whatever order the news comes in."""

import json
import tracemalloc

import pytest
from prometheus_client import REGISTRY

from plato_sas.api import Document
from plato_sas.controller.kube.resources import JOB, MODULE, PIPELINE, POD, PROCESSING, Kind
from plato_sas.controller.view.view import View, decisive
from tests.support.objects import job, pod, star


def named(items: list[Document]) -> list[str]:
    return [item["metadata"]["name"] for item in items]


def test_news_of_a_star_touches_it() -> None:
    view = View()
    assert view.put(PROCESSING, star("a")) == {"a"}
    assert view.processing("a") == star("a")
    assert view.drop(PROCESSING, star("a")) == {"a"}
    assert view.processing("a") is None


def test_an_older_version_and_the_known_one_are_no_news() -> None:
    view = View()
    view.put(PROCESSING, star("a", 10))
    assert view.put(PROCESSING, star("a", 9)) == set()
    assert view.put(PROCESSING, star("a", 10)) == set()
    assert view.processing("a") == star("a", 10)
    assert view.put(PROCESSING, star("a", 100)) == {"a"}, "versions are numbers: 100 is after 10"


def test_a_module_has_its_counters_as_soon_as_it_is_known() -> None:
    failed = ("plato_sas_steps_total", {"module": "never-run", "outcome": "Failed"})
    assert REGISTRY.get_sample_value(*failed) is None
    View().put(MODULE, {"metadata": {"name": "never-run", "uid": "n", "resourceVersion": "1"}})
    assert REGISTRY.get_sample_value(*failed) == 0


def test_jobs_and_pods_touch_their_star_even_one_with_a_long_name() -> None:
    view, name = View(), "s" * 100
    view.put(PROCESSING, star(name))
    assert view.put(JOB, job("j", name)) == {name}
    assert view.put(POD, pod("p", "j", name)) == {name}
    assert named(view.jobs_of(name)) == ["j"]
    assert named(view.pods_of("j")) == ["p"]
    assert view.drop(JOB, job("j", name)) == {name}
    assert view.jobs_of(name) == []


def test_a_job_of_an_unknown_star_is_kept_for_when_it_comes() -> None:
    view = View()
    assert view.put(JOB, job("j", "a")) == set()
    view.put(PROCESSING, star("a"))
    assert named(view.jobs_of("a")) == ["j"]


def test_the_catalogue_touches_only_stars_that_are_not_accepted_yet() -> None:
    view = View()
    view.put(PROCESSING, star("new"))
    view.put(PROCESSING, star("accepted", revision="r"))
    assert view.put(PIPELINE, {"metadata": {"name": "p", "uid": "p", "resourceVersion": "1"}}) == {"new"}
    assert view.put(MODULE, {"metadata": {"name": "m", "uid": "m", "resourceVersion": "1"}}) == {"new"}
    assert view.pipeline("p") is not None
    assert view.module("m") is not None


def test_a_late_word_of_a_deletion_does_not_drop_the_new_object() -> None:
    view = View()
    view.put(PROCESSING, star("a", 1, uid="old"))
    view.put(PROCESSING, star("a", 5, uid="new"))
    assert view.drop(PROCESSING, star("a", 3, uid="old")) == set()
    assert view.processing("a") == star("a", 5, uid="new")


def test_rivals_write_to_the_same_folder() -> None:
    view = View()
    view.put(PROCESSING, star("a", folder="KIC1"))
    view.put(PROCESSING, star("c", folder="KIC2"))
    assert view.put(PROCESSING, star("b", folder="KIC1")) == {"a", "b"}
    assert named(view.rivals("a")) == ["b"]
    assert view.drop(PROCESSING, star("a", folder="KIC1")) == {"a", "b"}, "b may go on now"
    assert view.rivals("b") == []


def test_a_star_made_anew_for_another_folder_leaves_the_old_one() -> None:
    view = View()
    view.put(PROCESSING, star("a", 1, uid="old", folder="KIC1"))
    view.put(PROCESSING, star("b", 2, folder="KIC1"))
    view.put(PROCESSING, star("a", 3, uid="new", folder="KIC2"))
    assert view.rivals("b") == []


def test_what_is_said_of_an_object_after_its_deletion_is_old() -> None:
    """The answer to our own write may come after the watch's word of the deletion."""
    view = View()
    view.put(PROCESSING, star("a", 1))
    view.drop(PROCESSING, star("a", 3))
    assert view.put(PROCESSING, star("a", 2)) == set()
    assert view.processing("a") is None
    assert view.put(PROCESSING, star("a", 4, uid="new")) == {"a"}


def test_the_word_of_a_deletion_may_come_first() -> None:
    view = View()
    view.put(PROCESSING, star("a"))
    view.drop(JOB, job("j", "a", 3))
    assert view.put(JOB, job("j", "a", 2)) == set()
    assert view.jobs_of("a") == []


def test_what_is_handed_out_is_the_callers_own() -> None:
    view = View()
    view.put(PROCESSING, star("a"))
    document = view.processing("a")
    assert document is not None
    document["spec"]["star"] = "another"
    assert view.processing("a") == star("a")


FINISHED = {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}


def test_a_job_and_a_pod_that_have_ended_are_known_as_before() -> None:
    view = View()
    view.put(PROCESSING, star("a"))
    view.put(JOB, job("j", "a", 1))
    view.put(POD, pod("p", "j", "a", 1))
    assert (view.has_running_job("a"), view.has_finished_job("a")) == (True, False)
    assert named(view.running_pods_of_star("a")) == ["p"]
    ended_job, ended_pod = job("j", "a", 3) | FINISHED, pod("p", "j", "a", 2) | {"status": {"phase": "Succeeded"}}
    assert view.put(JOB, ended_job) == view.put(POD, ended_pod) == {"a"}
    known = view.job("j")
    assert known is not None
    assert known["status"] == FINISHED["status"]
    assert [pod["status"]["phase"] for pod in view.pods_of("j")] == ["Succeeded"]
    assert (view.has_running_job("a"), view.has_finished_job("a"), view.has_jobs("a")) == (False, True, True)
    assert view.running_pods_of_star("a") == []
    assert view.put(JOB, job("j", "a", 2)) == set(), "what is older than the end is no news"
    assert view.names_by_uid(JOB) == {"j": "j"}
    assert view.forget(JOB, "j", "another") == set()
    assert view.forget(JOB, "j", "j") == view.drop(POD, ended_pod) == {"a"}
    assert (view.has_jobs("a"), view.jobs_of("a"), view.pods_of("j")) == (False, [], [])


def test_jobs_are_counted_by_what_they_do() -> None:
    def counted() -> list[float | None]:
        return [REGISTRY.get_sample_value("plato_sas_jobs", {"state": state}) for state in ("active", "finished")]

    view = View()
    for name in ("j", "k"):
        view.put(JOB, job(name, "a", 1))
    assert counted() == [2, 0]
    view.put(JOB, job("j", "a", 2) | FINISHED)
    view.put(JOB, job("j", "a", 3) | FINISHED)
    assert counted() == [1, 1]
    view.forget(JOB, "k", "k")
    view.drop(JOB, job("j", "a", 3))
    assert counted() == [0, 0]


def test_what_has_ended_takes_a_fifth_of_the_memory_at_most() -> None:
    """A site that ends ten stars a second has tens of thousands of Jobs waiting for their hour to be over."""
    ended = {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": "2030-01-01T00:00:00Z"}}
    containers = [{"name": f"step-{number}", "state": ended} for number in range(9)]

    def taken(phase: str, number: int = 200) -> int:
        view, status = View(), {"phase": phase, "initContainerStatuses": containers}
        before = tracemalloc.get_traced_memory()[0]
        for one in range(number):
            fresh = json.loads(json.dumps(pod(f"{phase}-{one}", "j", "a") | {"status": status}))
            view.put(POD, fresh)
        return tracemalloc.get_traced_memory()[0] - before

    tracemalloc.start()
    try:
        assert taken("Succeeded") < 0.2 * taken("Running")
    finally:
        tracemalloc.stop()


def test_the_revisions_that_stars_name() -> None:
    view = View()
    view.put(PROCESSING, star("a", revision="r1"))
    view.put(PROCESSING, star("b", revision="r1"))
    view.put(PROCESSING, star("c"))
    assert view.revisions() == {"r1"}


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        (PROCESSING, {}, True),
        (JOB, {"active": 1}, False),
        (JOB, {"conditions": [{"type": "Complete", "status": "True"}]}, True),
        (JOB, {"conditions": [{"type": "Failed", "status": "False"}]}, False),
        (POD, {"phase": "Running"}, False),
        (POD, {"phase": "Failed"}, True),
    ],
)
def test_what_has_to_be_looked_at_now(kind: Kind, status: Document, expected: bool) -> None:
    assert decisive(kind, {"metadata": {"name": "x"}, "status": status}) is expected
