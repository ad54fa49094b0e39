"""Why an attempt failed: class, reason, the step at fault, the module's exit code."""

from typing import Any

import pytest

from plato_sas.jobs.attempt import AttemptState, attempt
from plato_sas.jobs.failure import Failure, FailureClass
from plato_sas.stager.messages import Problem
from tests.support.pods import JOB, LATER, STAGED, Document, ended, held_up, job, pod


def failure(*statuses: Document, **status: Any) -> Failure:
    seen = attempt(job("Failed"), [pod(*statuses, **status)])
    assert seen.state is AttemptState.FAILED
    assert seen.failure is not None
    return seen.failure


def kind_reason_step_code(one: Failure) -> tuple[str, str, str | None, int | None]:
    return one.kind.value, one.reason, one.step, one.exit_code


def test_a_module_that_failed_is_shown_by_its_code_and_last_lines() -> None:
    one = failure(ended("stage-in", 0, STAGED), ended("step-a", 3, "no TIME column in /sas/in/DP1_LC_MERGED\n"))
    assert kind_reason_step_code(one) == ("Science", "ModuleFailed", "a", 3)
    assert one.message == "no TIME column in /sas/in/DP1_LC_MERGED"
    assert one.finished_at == LATER


@pytest.mark.parametrize("code", [1, 2, 63, 64, 74, 76, 125, 126, 127, 134, 139])
def test_every_code_that_a_module_ends_with_but_75_is_final(code: int) -> None:
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


STOPPED_AT = "2030-01-01T00:30:00Z"  # 1800 s after the pod's start


def test_a_module_that_ends_with_0_when_its_time_is_up_ran_too_long_all_the_same() -> None:
    one = failure(ended("stage-in", 0, STAGED), ended("step-a", 0, at=STOPPED_AT), reason="DeadlineExceeded")
    assert kind_reason_step_code(one) == ("Science", "DeadlineExceeded", "a", None)


def test_a_module_that_had_ended_before_is_not_to_blame_that_the_next_did_not_begin() -> None:
    waiting = held_up("step-b", "PodInitializing")
    one = failure(ended("stage-in", 0, STAGED), ended("step-a"), waiting, reason="DeadlineExceeded")
    assert kind_reason_step_code(one) == ("Infrastructure", "NotStarted", None, None)
    assert "step after a" in one.message


@pytest.mark.parametrize("container", ["stage-in", "publish"])
def test_a_stager_that_does_not_end_is_infrastructure(container: str) -> None:
    one = failure(ended(container, 137), reason="DeadlineExceeded")
    assert kind_reason_step_code(one) == ("Infrastructure", "StagerFailed", None, None)
    assert container in one.message


@pytest.mark.parametrize(("code", "signal"), [(137, "SIGKILL"), (143, "SIGTERM")])
def test_a_module_that_was_killed_from_outside_is_not_at_fault(code: int, signal: str) -> None:
    one = failure(ended("stage-in"), ended("step-a", code))
    assert kind_reason_step_code(one) == ("Infrastructure", "ContainerStopped", "a", code)
    assert f"by {signal} (exit code {code})" in one.message


def test_a_module_that_says_nothing_is_told_by_its_signal() -> None:
    assert failure(ended("stage-in"), ended("step-a", 139)).message == "ended by SIGSEGV, and said nothing"
    assert failure(ended("stage-in"), ended("step-a", 3)).message == "ended with exit code 3, and said nothing"


def test_a_module_out_of_memory_is_told_its_limit() -> None:
    killed = ended("step-a", 137)
    killed["state"]["terminated"]["reason"] = "OOMKilled"
    limits = [{"name": "step-a", "resources": {"limits": {"memory": "512Mi"}}}]
    assert failure(ended("stage-in"), killed, spec={"initContainers": limits}).message.endswith("limit of 512Mi")


def test_what_a_module_prints_cannot_reach_a_terminal() -> None:
    one = failure(ended("stage-in"), ended("step-a", 3, " 1%|\r99%|\n\x1b[31mERROR\x1b[0m caf\udce9.h5"))
    assert one.message == "99%|\n\\x1b[31mERROR\\x1b[0m caf\\udce9.h5"


@pytest.mark.parametrize("reason", ["EvictionByEvictionAPI", "DeletionByTaintManager", "PreemptionByScheduler"])
def test_a_disruption_is_infrastructure_whatever_the_containers_made_of_it(reason: str) -> None:
    conditions = [{"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "node is drained"}]
    for code in (0, 2, 137, 143):
        one = failure(ended("stage-in"), ended("step-a", code), conditions=conditions)
        assert kind_reason_step_code(one) == ("Infrastructure", reason, "a", None)
        assert one.message == "node is drained"


def test_a_disruption_that_did_not_come_about_is_none() -> None:
    conditions = [{"type": "DisruptionTarget", "status": "False"}]
    assert failure(ended("step-a", 3), conditions=conditions).reason == "ModuleFailed"


def deleted(*statuses: Document, at: str, grace: int = 10) -> Failure:
    metadata = {"deletionTimestamp": at, "deletionGracePeriodSeconds": grace}
    seen = attempt(job("Failed"), [pod(*statuses, metadata=metadata)])
    assert seen.failure is not None
    return seen.failure


def test_a_pod_deleted_under_a_running_module_is_infrastructure() -> None:
    """The deletion's time is that of its end: when it was asked for lies the grace period before."""
    for code in (1, 143):
        one = deleted(ended("stage-in"), ended("step-a", code), at="2030-01-01T00:01:05Z")
        assert kind_reason_step_code(one) == ("Infrastructure", "PodDeleted", "a", None)
    assert deleted(ended("stage-in"), ended("step-a"), at=LATER).reason == "PodDeleted"


def test_a_pod_deleted_after_its_module_had_failed_changes_nothing() -> None:
    one = deleted(ended("stage-in"), ended("step-a", 3, "bad"), at="2030-01-01T00:02:00Z")
    assert kind_reason_step_code(one) == ("Science", "ModuleFailed", "a", 3)


EMPTY_DIR = 'Usage of EmptyDir volume "{}" exceeds the limit "16Mi". '


def test_a_module_that_fills_its_scratch_is_at_fault() -> None:
    (volume,) = (one["name"] for one in JOB["spec"]["template"]["spec"]["volumes"] if one["name"] == "scratch-a")
    text = EMPTY_DIR.format(volume)
    one = failure(ended("stage-in"), ended("step-a", 137), reason="Evicted", message=text)
    assert kind_reason_step_code(one) == ("Science", "ScratchFull", "a", None)
    assert one.message == text


@pytest.mark.parametrize(
    "text",
    [
        EMPTY_DIR.format("sas-a"),
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
    one = failure(ended("stage-in", 1, problem.to_json(4096)))
    assert kind_reason_step_code(one) == ("Science", "InputMissing", "a", None)
    assert one.message == problem.message


@pytest.mark.parametrize(("container", "reason"), [("stage-in", "StageInFailed"), ("publish", "PublishFailed")])
def test_trouble_with_the_volume_is_infrastructure(container: str, reason: str) -> None:
    problem = Problem("", reason, f"{container}: [Errno 28] No space left on device")
    one = failure(ended(container, 1, problem.to_json(4096)))
    assert kind_reason_step_code(one) == ("Infrastructure", reason, None, None)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("OSError: [Errno 28] No space left on device: '/sas/out/IDP_A.h5'", "NoSpaceLeft"),
        ("H5FD_sec2_write: errno = 28, error message = 'No space left on device', buf = 0x1", "NoSpaceLeft"),
        ("cp: error writing '/sas/out/a': Disk quota exceeded", "NoSpaceLeft"),
        ("sh: 1: cannot create /sas/out/IDP_A.h5: Read-only file system", "OutputReadOnly"),
    ],
)
def test_a_module_that_says_that_the_volume_takes_nothing_is_not_at_fault(message: str, reason: str) -> None:
    one = failure(ended("step-a", 1, message))
    assert kind_reason_step_code(one) == ("Infrastructure", reason, "a", 1)
    assert one.message == message


@pytest.mark.parametrize(
    "message",
    [
        "cannot create /opt/cache: Read-only file system",
        "writing /sas/out/IDP_A.h5\nOSError: [Errno 30] Read-only file system: '/opt/cache'",
    ],
)
def test_a_module_that_writes_elsewhere_is_at_fault(message: str) -> None:
    one = failure(ended("step-a", 1, message))
    assert kind_reason_step_code(one) == ("Science", "ModuleFailed", "a", 1)


def test_more_of_the_last_lines_may_tell_whose_fault_it_was() -> None:
    one = failure(ended("step-a", 1, "Traceback (most"))
    assert kind_reason_step_code(one.worded("... [Errno 28] No space left on device"))[:2] == (
        "Infrastructure",
        "NoSpaceLeft",
    )
    assert one.worded("ValueError: flux").kind is FailureClass.SCIENCE
    temporary = failure(ended("step-a", 75, "busy"))
    assert temporary.worded("busy: No space left on device").reason == "TemporaryFailure"


@pytest.mark.parametrize("text", ["", "Traceback (most recent call last):", "[1]", '"x"', "{}"])
def test_a_stager_that_died_without_a_word_is_infrastructure(text: str) -> None:
    one = failure(ended("stage-in", 1, text))
    assert kind_reason_step_code(one) == ("Infrastructure", "StagerFailed", None, 1)
    assert text in one.message


def test_a_pod_that_failed_before_its_containers_is_infrastructure() -> None:
    one = failure(reason="UnexpectedAdmissionError", message="no cpus left")
    assert kind_reason_step_code(one) == ("Infrastructure", "UnexpectedAdmissionError", None, None)
    assert one.message == "no cpus left"
