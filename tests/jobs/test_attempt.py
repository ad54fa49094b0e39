"""How far each step of a Job has come, as the Job and its pod show it."""

from itertools import permutations
from typing import Any

import pytest

from plato_sas.jobs.attempt import AttemptState, StepTimes, attempt, job_finished, pods_up_to_date
from plato_sas.jobs.failure import FailureClass
from plato_sas.jobs.names import STEPS_ANNOTATION
from plato_sas.jobs.pods import outlived, pod_finished
from plato_sas.stager.messages import Problem, Published, PublishedStep, StagedIn, Withheld
from tests.support.pods import (
    JOB,
    LATER,
    PUBLISHED,
    REPORT,
    SALVAGE,
    STAGED,
    Document,
    ended,
    held_up,
    job,
    pod,
    running,
)
from tests.support.samples import NOW

# Live


def test_a_job_without_a_pod() -> None:
    seen = attempt(job(), [])
    assert (seen.state, seen.numbers, seen.started_at, seen.salvage) == (AttemptState.ACTIVE, {"a": 1, "b": 1}, NOW, 0)
    assert (seen.pod, seen.pod_started_at, seen.current, seen.failure, seen.waiting) == (None, None, "a", None, None)


def test_a_pod_that_stages_in() -> None:
    seen = attempt(job(), [pod(running("stage-in"), phase="Pending")])
    assert (seen.pod, seen.pod_started_at, seen.pod_deadline) == ("pod", NOW, 1800)
    assert (seen.current, seen.begun, seen.inputs) == ("a", {}, {})


def test_the_step_that_runs_is_the_first_that_has_not_ended() -> None:
    seen = attempt(job(), [pod(ended("stage-in", 0, STAGED), running("step-a"), phase="Pending")])
    assert (seen.current, seen.completed) == ("a", frozenset())
    assert seen.begun == {"a": StepTimes(NOW)}
    assert seen.inputs == {"DP1_LC_MERGED": "1" * 64}, "known while the Job runs"


def test_between_two_steps_the_next_is_the_current_one() -> None:
    seen = attempt(job(), [pod(ended("stage-in", 0, STAGED), ended("step-a"), phase="Pending")])
    assert (seen.current, seen.completed) == ("b", {"a"})
    assert seen.begun == {"a": StepTimes(NOW, LATER)}


def test_while_publish_runs_there_is_no_current_step() -> None:
    seen = attempt(
        job(), [pod(ended("stage-in"), ended("step-a"), ended("step-b"), running("publish"), phase="Running")]
    )
    assert (seen.active, seen.current, seen.completed) == (True, None, {"a", "b"})


def test_a_step_that_has_failed_has_not_ended_well() -> None:
    seen = attempt(job(), [pod(ended("stage-in"), ended("step-a", 2), phase="Pending")])
    assert (seen.state, seen.current, seen.completed) == (AttemptState.ACTIVE, "a", frozenset())


@pytest.mark.parametrize(
    "reason",
    [
        "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError",
        "CreateContainerError", "RunContainerError",
    ],
)  # fmt: skip
def test_a_pod_that_is_held_up_says_why(reason: str) -> None:
    seen = attempt(job(), [pod(ended("stage-in"), held_up("step-a", reason, "no such image: x"), phase="Pending")])
    assert seen.waiting == (reason, "no such image: x")


def test_a_pod_that_was_ended_while_held_up_lived_longer_than_the_container_before() -> None:
    held = pod(ended("stage-in", at=NOW), held_up("step-a", "ErrImagePull"), reason="DeadlineExceeded")
    assert attempt(job("Failed"), [held]).finished_at == LATER
    assert attempt(job(), [held]).finished_at is None, "not declared yet: now"


def test_an_ordinary_wait_is_nothing_to_tell() -> None:
    assert attempt(job(), [pod(held_up("step-a", "PodInitializing"), phase="Pending")]).waiting is None


def test_a_pod_that_fits_on_no_node_says_so() -> None:
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]
    seen = attempt(job(), [pod(phase="Pending", conditions=conditions)])
    assert seen.waiting == ("Unschedulable", "0/1 nodes")


def test_a_job_that_is_being_deleted_is_leaving() -> None:
    metadata = {**JOB["metadata"], "deletionTimestamp": LATER}
    assert attempt(job(metadata=metadata), []).leaving
    assert not attempt(job(), []).leaving


# Ended

ALL_WELL = (ended("stage-in", 0, STAGED), ended("step-a"), ended("step-b"))
DONE = pod(*ALL_WELL, ended("publish", 0, PUBLISHED), phase="Succeeded")


def test_a_published_attempt() -> None:
    seen = attempt(job("Complete"), [DONE])
    assert (seen.state, seen.failure) == (AttemptState.SUCCEEDED, None)
    assert seen.published == REPORT
    assert seen.reported == {"a", "b"}
    assert seen.inputs == {"DP1_LC_MERGED": "1" * 64}
    assert (seen.started_at, seen.finished_at) == (NOW, LATER)


@pytest.mark.parametrize(("last", "state"), [(DONE, AttemptState.SUCCEEDED), (pod(), AttemptState.FAILED)])
def test_the_end_of_its_pod_is_the_jobs_before_the_job_controller_says_so(last: Document, state: AttemptState) -> None:
    assert attempt(job(), [last]).state is state


def test_a_report_of_a_part_is_no_failure_of_the_attempt() -> None:
    report = Published({"a": REPORT["a"]}, {"b": Withheld("OutputMissing", "there is none")}).to_json()
    seen = attempt(job("Failed"), [pod(*ALL_WELL, ended("publish", 1, report))])
    assert (seen.failure, seen.published.keys()) == (None, {"a"})
    assert seen.withheld == {"b": Withheld("OutputMissing", "there is none")}


def test_reused_steps_are_no_failure_of_the_attempt() -> None:
    report = StagedIn({"DP1_LC_MERGED": "1" * 64}, {"b": PublishedStep("3" * 64)}).to_json()
    seen = attempt(job("Failed"), [pod(ended("stage-in", 1, report))])
    assert (seen.failure, seen.reused, seen.reported) == (None, {"b": PublishedStep("3" * 64)}, {"b"})
    assert seen.inputs == {"DP1_LC_MERGED": "1" * 64}


def test_a_report_about_steps_of_another_job_says_nothing() -> None:
    report = StagedIn({}, {"zz": PublishedStep("3" * 64)}).to_json()
    seen = attempt(job("Failed"), [pod(ended("stage-in", 1, report))])
    assert seen.reported == frozenset()
    assert seen.failure is not None
    assert seen.failure.reason == "StagerFailed"


def test_a_salvage_has_the_steps_of_another_job_and_a_number() -> None:
    report = Published({"a": REPORT["a"]}, {}).to_json()
    seen = attempt(job("Complete", SALVAGE), [pod(ended("publish", 0, report), phase="Succeeded")])
    assert (seen.numbers, seen.salvage, seen.begun, seen.published.keys()) == ({"a": 1}, 1, {}, {"a"})


def test_a_job_of_another_make_has_no_steps() -> None:
    for annotations in ({}, {STEPS_ANNOTATION: "a=1,b"}, {STEPS_ANNOTATION: "a=x"}):
        seen = attempt(job(metadata={**JOB["metadata"], "annotations": annotations}), [])
        assert seen.numbers == {}
    spec = {"template": {"spec": {"containers": []}}}
    assert attempt(job(metadata={"name": "somebodys", "annotations": {}}, spec=spec), []).salvage == 0


def test_a_finished_job_without_a_pod_is_lost() -> None:
    for condition in ("Complete", "Failed"):
        seen = attempt(job(condition), [])
        assert seen.failure is not None
        assert (seen.failure.kind, seen.failure.reason) == (FailureClass.INFRASTRUCTURE, "PodLost")
        assert seen.finished_at == LATER


def test_a_complete_job_whose_report_is_lost_is_not_taken_for_a_success() -> None:
    seen = attempt(job("Complete"), [pod(*ALL_WELL, ended("publish", 0, ""), phase="Succeeded")])
    assert seen.failure is not None
    assert (seen.failure.kind, seen.failure.reason) == (FailureClass.INFRASTRUCTURE, "StagerFailed")


def test_a_publish_that_could_not_write_names_no_step() -> None:
    problem = Problem("", "PublishFailed", "publish: [Errno 28] No space left on device").to_json(4096)
    seen = attempt(job("Failed"), [pod(*ALL_WELL, ended("publish", 1, problem))])
    assert seen.failure is not None
    assert (seen.failure.reason, seen.failure.step, seen.current) == ("PublishFailed", None, None)


# Pods that are older than their Job

PREEMPTED = pod(ended("step-a", 137), conditions=[{"type": "DisruptionTarget", "status": "True"}])
BAD_DATA = pod(ended("step-a", 4, "bad data"), created=LATER)
STILL_RUNNING = pod(ended("stage-in"), phase="Running", created="2030-01-01T00:02:00Z")


@pytest.mark.parametrize("pods", list(permutations([PREEMPTED, BAD_DATA])))
def test_the_newest_pod_tells_why_a_job_failed(pods: tuple[Document, ...]) -> None:
    seen = attempt(job("Failed"), pods)
    assert seen.failure is not None
    assert seen.failure.exit_code == 4


@pytest.mark.parametrize(
    ("condition", "pods", "agrees"),
    [
        (None, [], True),
        (None, [STILL_RUNNING], True),
        ("Complete", [], False),
        ("Complete", [STILL_RUNNING], False),
        ("Complete", [PREEMPTED], False),
        ("Complete", [PREEMPTED, DONE], True),
        ("Failed", [], False),
        ("Failed", [STILL_RUNNING], False),
        ("Failed", [BAD_DATA, STILL_RUNNING], False),
        ("Failed", [PREEMPTED], True),
        ("Failed", [PREEMPTED, BAD_DATA], True),
    ],
)
def test_pods_that_are_older_than_their_job_do_not_agree_with_it(
    condition: str | None, pods: list[Document], agrees: bool
) -> None:
    assert pods_up_to_date(job(condition), pods) is agrees


def test_of_two_pods_of_one_second_the_one_that_runs_is_the_newer() -> None:
    replacing = pod(phase="Pending", created=LATER)
    assert not pods_up_to_date(job("Failed"), [BAD_DATA, replacing])
    assert not pods_up_to_date(job("Failed"), [replacing, BAD_DATA])


def test_finished_and_terminal() -> None:
    assert [job_finished(job(c)) for c in (None, "Complete", "Failed")] == [False, True, True]
    assert not job_finished(job() | {"status": {"conditions": [{"type": "Failed", "status": "False"}]}})
    assert not job_finished(job() | {"status": {"conditions": [{"type": "FailureTarget", "status": "True"}]}})
    phases: list[Any] = ["Pending", "Running", "Succeeded", "Failed"]
    assert [pod_finished(pod(phase=phase)) for phase in phases] == [False, False, True, True]


@pytest.mark.parametrize(("others", "finished"), [((), False), (("mesh",), True)])
def test_a_pod_whose_main_container_has_ended_lives_on_for_an_injected_one_only(
    others: tuple[str, ...], finished: bool
) -> None:
    one = pod(ended("stage-in"), ended("step-a"), ended("publish"), phase="Running")
    one["status"]["containerStatuses"] += [{"name": name, "state": {"running": {"startedAt": NOW}}} for name in others]
    assert (pod_finished(one), outlived(one)) == (finished, finished)
