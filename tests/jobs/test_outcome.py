"""What a Job and its pod say about an attempt, as the API server shows them."""

import json
from itertools import permutations
from typing import Any

import pytest

from plato_sas.jobs.builder import build_job
from plato_sas.jobs.outcome import Attempt, AttemptState, Failure, FailureClass, attempt, finished, settled, terminal
from plato_sas.jobs.stage import Site
from plato_sas.stager.messages import Problem, Published, PublishedStep, StagedIn
from sas_samples import NOW, graph
from sas_simulator import World

LATER = "2030-01-01T00:01:00Z"
JOB = build_job(World(graph({"a": []})).run().stage("a"), Site(stager_image="stager"))
STAGED = StagedIn({"DP1_LC_MERGED": "1" * 64}).to_json()
PUBLISHED = Published({"a": PublishedStep("2" * 64, {"flag": True}, ["EXTRA"])}).to_json()
Document = dict[str, Any]


def job(condition: str | None = None, **extra: Any) -> Document:
    status: Document = {"startTime": NOW}
    if condition == "Complete":
        status["completionTime"] = LATER
    if condition:
        status["conditions"] = [
            {"type": "SuccessCriteriaMet", "status": "True"},
            {"type": condition, "status": "True", "lastTransitionTime": LATER},
        ]
    return {"metadata": JOB["metadata"], "spec": JOB["spec"], "status": status} | extra


def ended(name: str, code: int = 0, message: str = "", reason: str | None = None) -> Document:
    why = reason or ("Completed" if code == 0 else "Error")
    return {
        "name": name,
        "state": {"terminated": {"exitCode": code, "message": message, "reason": why, "finishedAt": LATER}},
    }


def pod(*statuses: Document, phase: str = "Failed", created: str = NOW, **status: Any) -> Document:
    main = [one for one in statuses if one["name"] == "publish"]
    return {
        "metadata": {"name": "pod", "creationTimestamp": created},
        "spec": {"activeDeadlineSeconds": 1800},
        "status": {
            "phase": phase,
            "initContainerStatuses": [one for one in statuses if one["name"] != "publish"],
            "containerStatuses": main or [{"name": "publish", "state": {"waiting": {"reason": "PodInitializing"}}}],
        }
        | status,
    }


def failure(*statuses: Document, **status: Any) -> Failure:
    seen = attempt(job("Failed"), [pod(*statuses, **status)])
    assert seen.state is AttemptState.FAILED
    assert seen.failure is not None
    return seen.failure


def kind_reason_step_code(one: Failure) -> tuple[str, str, str | None, int | None]:
    return one.kind.value, one.reason, one.step, one.exit_code


def test_a_running_attempt() -> None:
    seen = attempt(job(), [pod(ended("stage-in", 0, STAGED), phase="Pending")])
    assert (seen.state, seen.steps, seen.number, seen.started_at) == (AttemptState.ACTIVE, ("a",), 1, NOW)
    assert seen.failure is None
    assert seen.waiting is None
    assert seen.released is False


def test_a_published_attempt() -> None:
    done = pod(ended("stage-in", 0, STAGED), ended("step-a"), ended("publish", 0, PUBLISHED), phase="Succeeded")
    seen = attempt(job("Complete"), [done])
    assert seen.state is AttemptState.SUCCEEDED
    assert seen.published == {"a": PublishedStep("2" * 64, {"flag": True}, ["EXTRA"])}
    assert seen.inputs == {"DP1_LC_MERGED": "1" * 64}
    assert (seen.started_at, seen.finished_at) == (NOW, LATER)


def test_a_module_that_failed_is_shown_by_its_code_and_last_lines() -> None:
    one = failure(ended("stage-in", 0, STAGED), ended("step-a", 3, "no TIME column in /sas/in/DP1_LC_MERGED\n"))
    assert kind_reason_step_code(one) == ("Science", "ModuleFailed", "a", 3)
    assert one.message == "no TIME column in /sas/in/DP1_LC_MERGED"
    assert one.finished_at == LATER


@pytest.mark.parametrize("code", [1, 2, 63, 64, 74, 76, 125, 126, 127, 134, 139, 143])
def test_every_code_but_75_is_final(code: int) -> None:
    assert kind_reason_step_code(failure(ended("stage-in"), ended("step-a", code))) == (
        "Science", "ModuleFailed", "a", code
    )  # fmt: skip


def test_75_asks_to_be_tried_again() -> None:
    one = failure(ended("stage-in"), ended("step-a", 75, "catalogue is being updated"))
    assert kind_reason_step_code(one) == ("Temporary", "TemporaryFailure", "a", 75)


def test_out_of_memory() -> None:
    one = failure(ended("stage-in"), ended("step-a", 137, "", "OOMKilled"))
    assert kind_reason_step_code(one) == ("OutOfMemory", "OOMKilled", "a", 137)
    assert "step a" in one.message


@pytest.mark.parametrize("reason", ["StartError", "ContainerCannotRun"])
def test_a_container_that_cannot_start_says_why(reason: str) -> None:
    one = failure(ended("stage-in"), ended("step-a", 128, 'exec: "/run": not found', reason))
    assert kind_reason_step_code(one) == ("Science", "ContainerCannotRun", "a", 128)
    assert 'exec: "/run": not found' in one.message


def test_a_deadline_names_the_step_that_ran() -> None:
    one = failure(ended("stage-in"), ended("step-a", 137), reason="DeadlineExceeded", message="Pod was active too long")
    assert kind_reason_step_code(one) == ("Science", "DeadlineExceeded", "a", None)
    assert "1800 s" in one.message


def held_up(name: str, reason: str, message: str = "") -> Document:
    return {"name": name, "state": {"waiting": {"reason": reason, "message": message}}}


@pytest.mark.parametrize("reason", ["ImagePullBackOff", "CreateContainerError"])
def test_a_deadline_that_passed_while_a_step_could_not_begin_is_infrastructure_and_says_why(reason: str) -> None:
    why = held_up("step-a", reason, 'Back-off pulling image "registry/m:1"')
    one = failure(ended("stage-in", 0, STAGED), why, reason="DeadlineExceeded", message="Pod was active too long")
    assert kind_reason_step_code(one) == ("Infrastructure", reason, "a", None)
    assert 'Back-off pulling image "registry/m:1"' in one.message
    assert "1800 s" in one.message


def test_a_deadline_before_any_step_began_is_infrastructure() -> None:
    for pod_status in ([], [held_up("stage-in", "PodInitializing"), held_up("step-a", "PodInitializing")]):
        one = failure(*pod_status, reason="DeadlineExceeded")
        assert kind_reason_step_code(one) == ("Infrastructure", "NotStarted", None, None)
        assert "1800 s" in one.message


def test_a_module_that_ends_with_0_when_its_time_is_up_ran_too_long_all_the_same() -> None:
    one = failure(ended("stage-in", 0, STAGED), ended("step-a", 0), reason="DeadlineExceeded")
    assert kind_reason_step_code(one) == ("Science", "DeadlineExceeded", "a", None)


EMPTY_DIR = 'Usage of EmptyDir volume "{}" exceeds the limit "16Mi". '


def test_a_module_that_fills_its_scratch_is_at_fault() -> None:
    (volume,) = (one["name"] for one in JOB["spec"]["template"]["spec"]["volumes"] if one["name"].endswith("-a"))
    text = EMPTY_DIR.format(volume)
    one = failure(ended("stage-in"), ended("step-a", 137), reason="Evicted", message=text)
    assert kind_reason_step_code(one) == ("Science", "ScratchFull", "a", None)
    assert one.message == text


@pytest.mark.parametrize(
    "text",
    [
        EMPTY_DIR.format("work"),
        "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 900Mi. ",
        "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ",
    ],
)
def test_any_other_eviction_is_infrastructure(text: str) -> None:
    one = failure(ended("stage-in"), ended("step-a", 137), reason="Evicted", message=text)
    assert kind_reason_step_code(one) == ("Infrastructure", "Evicted", "a", None)
    assert one.message == text


@pytest.mark.parametrize(("code", "reason"), [(255, "Unknown"), (137, "ContainerStatusUnknown")])
@pytest.mark.parametrize(("container", "step"), [("stage-in", None), ("step-a", "a"), ("publish", None)])
@pytest.mark.parametrize("status", [{}, {"reason": "DeadlineExceeded", "message": "Pod was active too long"}])
def test_a_container_that_was_lost_with_its_node_is_infrastructure(
    code: int, reason: str, container: str, step: str | None, status: dict[str, str]
) -> None:
    one = failure(ended(container, code, "The container could not be located", reason), **status)
    assert kind_reason_step_code(one) == ("Infrastructure", "ContainerLost", step, None)
    assert container in one.message
    assert "The container could not be located" in one.message


def test_a_module_that_failed_before_another_container_was_lost_is_what_failed() -> None:
    one = failure(ended("stage-in"), ended("step-a", 3, "bad"), ended("publish", 137, "", "ContainerStatusUnknown"))
    assert kind_reason_step_code(one) == ("Science", "ModuleFailed", "a", 3)


def test_a_missing_input_is_told_with_the_stagers_words() -> None:
    problem = Problem("a", "InputMissing", "step a: input DP1_LC_MERGED: inputs volume: q1/x/lc.h5 does not exist")
    one = failure(ended("stage-in", 1, problem.to_json()))
    assert kind_reason_step_code(one) == ("Science", "InputMissing", "a", None)
    assert one.message == problem.message


def test_a_missing_output_is_the_modules_fault() -> None:
    problem = Problem("a", "OutputMissing", "step a: output OUT: /sas/out/OUT.h5 does not exist")
    one = failure(ended("stage-in", 0, STAGED), ended("step-a"), ended("publish", 1, problem.to_json()))
    assert kind_reason_step_code(one) == ("Science", "OutputMissing", "a", None)


@pytest.mark.parametrize(("container", "reason"), [("stage-in", "StageInFailed"), ("publish", "PublishFailed")])
def test_trouble_with_the_volume_is_infrastructure(container: str, reason: str) -> None:
    problem = Problem("", reason, f"{container}: [Errno 28] No space left on device")
    one = failure(ended(container, 1, problem.to_json()))
    assert kind_reason_step_code(one) == ("Infrastructure", reason, None, None)


@pytest.mark.parametrize("text", ["", "Traceback (most recent call last):", "[1]", '"x"', "{}"])
def test_a_stager_that_died_without_a_word_is_infrastructure(text: str) -> None:
    one = failure(ended("stage-in", 1, text))
    assert kind_reason_step_code(one) == ("Infrastructure", "StagerFailed", None, 1)
    assert text in one.message


def test_a_finished_job_without_a_pod_is_lost() -> None:
    for condition in ("Complete", "Failed"):
        seen = attempt(job(condition), [])
        assert seen.failure is not None
        assert (seen.failure.kind, seen.failure.reason) == (FailureClass.INFRASTRUCTURE, "PodLost")


def test_a_complete_job_whose_report_is_lost_is_not_taken_for_a_success() -> None:
    seen = attempt(job("Complete"), [pod(ended("step-a"), ended("publish", 0, ""), phase="Succeeded")])
    assert seen.state is AttemptState.FAILED
    assert seen.failure is not None
    assert (seen.failure.kind, seen.failure.reason) == (FailureClass.INFRASTRUCTURE, "StagerFailed")


def test_a_pod_that_failed_before_its_containers_is_infrastructure() -> None:
    one = failure(reason="UnexpectedAdmissionError", message="no cpus left")
    assert kind_reason_step_code(one) == ("Infrastructure", "UnexpectedAdmissionError", None, None)
    assert one.message == "no cpus left"


DISRUPTED = [{"type": "DisruptionTarget", "status": "True"}]
PREEMPTED = pod(ended("step-a", 137), conditions=DISRUPTED)
BAD_DATA = pod(ended("step-a", 4, "bad data"), created=LATER)
STILL_RUNNING = pod(ended("stage-in"), phase="Running", created="2030-01-01T00:02:00Z")
DONE = pod(ended("stage-in", 0, STAGED), ended("step-a"), ended("publish", 0, PUBLISHED), phase="Succeeded")


@pytest.mark.parametrize("pods", list(permutations([PREEMPTED, BAD_DATA, STILL_RUNNING])))
def test_the_newest_pod_that_stopped_tells_why_a_job_failed(pods: tuple[Document, ...]) -> None:
    seen = attempt(job("Failed"), pods)
    assert seen.failure is not None
    assert seen.failure.exit_code == 4


@pytest.mark.parametrize("pods", list(permutations([PREEMPTED, BAD_DATA, DONE])))
def test_the_pod_that_succeeded_tells_what_a_complete_job_published(pods: tuple[Document, ...]) -> None:
    seen = attempt(job("Complete"), pods)
    assert seen.state is AttemptState.SUCCEEDED
    assert seen.published.keys() == {"a"}


def test_a_complete_job_is_not_judged_by_a_pod_that_failed() -> None:
    seen = attempt(job("Complete"), [PREEMPTED])
    assert seen.failure is not None
    assert (seen.failure.kind, seen.failure.reason) == (FailureClass.INFRASTRUCTURE, "PodLost")


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
        ("Failed", [PREEMPTED], False),
        ("Failed", [PREEMPTED, BAD_DATA], True),
        ("Failed", [BAD_DATA, PREEMPTED], True),
    ],
)
def test_pods_that_are_older_than_their_job_do_not_agree_with_it(
    condition: str | None, pods: list[Document], agrees: bool
) -> None:
    assert settled(job(condition), pods) is agrees


def test_of_two_pods_of_one_second_the_one_that_runs_is_the_newer() -> None:
    replacing = pod(phase="Pending", created=LATER)
    assert not settled(job("Failed"), [BAD_DATA, replacing])
    assert not settled(job("Failed"), [replacing, BAD_DATA])


@pytest.mark.parametrize(
    "reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull",
               "CreateContainerConfigError", "CreateContainerError", "RunContainerError"]
)  # fmt: skip
def test_a_pod_that_is_held_up_says_why(reason: str) -> None:
    waiting = {"name": "step-a", "state": {"waiting": {"reason": reason, "message": "no such image: x"}}}
    seen = attempt(job(), [pod(ended("stage-in"), waiting, phase="Pending")])
    assert seen.waiting == (reason, "no such image: x")


def test_an_ordinary_wait_is_nothing_to_tell() -> None:
    waiting = {"name": "step-a", "state": {"waiting": {"reason": "PodInitializing"}}}
    assert attempt(job(), [pod(waiting, phase="Pending")]).waiting is None


def test_a_pod_that_fits_on_no_node_says_so() -> None:
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]
    seen = attempt(job(), [pod(phase="Pending", conditions=conditions)])
    assert seen.waiting == ("Unschedulable", "0/1 nodes")


def released(**changes: Any) -> Attempt:
    one = job("Complete")
    return attempt({key: value | changes.get(key, {}) for key, value in one.items()}, [])


def test_a_job_on_its_way_out_needs_no_second_push() -> None:
    assert released(spec={"ttlSecondsAfterFinished": 3600}).released
    assert released(metadata={"deletionTimestamp": LATER}).released
    assert not released().released


def test_finished_and_terminal() -> None:
    assert [finished(job(c)) for c in (None, "Complete", "Failed")] == [False, True, True]
    assert not finished(job() | {"status": {"conditions": [{"type": "Failed", "status": "False"}]}})
    assert not finished(job() | {"status": {"conditions": [{"type": "FailureTarget", "status": "True"}]}})
    assert [terminal(pod(phase=phase)) for phase in ("Pending", "Running", "Succeeded", "Failed")] == [
        False, False, True, True
    ]  # fmt: skip


def test_the_report_is_read_as_the_stager_writes_it() -> None:
    assert json.loads(PUBLISHED) == {
        "steps": {"a": {"digest": "2" * 64, "facts": {"flag": True}, "missing": ["EXTRA"]}}
    }
