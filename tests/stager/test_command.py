"""The stager's two commands: exit codes and termination messages."""

import errno
import json
import os
import subprocess
import sys

import pytest

from plato_sas.stager.__main__ import main
from plato_sas.stager.description import (
    PUBLISH_VARIABLE,
    STAGE_VARIABLE,
    InputDescription,
    PublishOrder,
    Stage,
    StepDescription,
)
from plato_sas.stager.messages import (
    Problem,
    Published,
    PublishedStep,
    StagedIn,
    Withheld,
    parse_problem,
    parse_published,
    parse_staged_in,
    room,
)
from tests.support.pod import LIGHT_CURVE, Pod, digest, made_of, order, reading, step


def command(pod: Pod, action: str, **env: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SAS_ROOT": str(pod.root), **env}
    arguments = [sys.executable, "-m", "plato_sas.stager", action]
    return subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_two_commands_carry_a_stage_from_inputs_to_products(pod: Pod) -> None:
    stage = pod.stage()
    first = command(pod, "stage-in", **{STAGE_VARIABLE: stage.to_json()})
    assert first.returncode == 0, first.stderr
    staged = parse_staged_in(pod.roots.termination_log.read_text())
    assert staged == StagedIn({"DP1": digest(LIGHT_CURVE)})
    assert json.loads(first.stdout)["component"] == "stage-in"
    pod.write(stage)
    second = command(pod, "publish", SAS_NODE="node-7", **{PUBLISH_VARIABLE: order(stage).to_json()})
    assert second.returncode == 0, second.stderr
    published = parse_published(pod.roots.termination_log.read_text())
    assert published is not None
    assert published.steps["msap1"].digest == pod.manifest()["digest"]
    assert pod.manifest()["node"] == "node-7"


@pytest.mark.parametrize("variable", [STAGE_VARIABLE, PUBLISH_VARIABLE])
def test_a_command_without_its_environment_says_what_is_not_set(pod: Pod, variable: str) -> None:
    result = command(pod, "stage-in" if variable == STAGE_VARIABLE else "publish")
    assert result.returncode != 0
    assert result.stderr == f"plato_sas.stager: the environment variable {variable} is not set\n"


def test_an_unknown_command_is_told_the_known_ones(pod: Pod) -> None:
    result = command(pod, "publsh")
    assert result.returncode == 2
    assert "stage-in" in result.stderr


def run_main(
    pod: Pod,
    monkeypatch: pytest.MonkeyPatch,
    stage: Stage | None = None,
    asked: PublishOrder | None = None,
    action: str = "stage-in",
) -> int:
    monkeypatch.setenv("SAS_ROOT", str(pod.root))
    monkeypatch.setattr(sys, "argv", ["plato_sas.stager", action if stage is not None else "publish"])
    if stage is not None:
        monkeypatch.setenv(STAGE_VARIABLE, stage.to_json())
    if asked is not None:
        monkeypatch.setenv(PUBLISH_VARIABLE, asked.to_json())
    return main()


def problem(pod: Pod) -> Problem:
    found = parse_problem(pod.roots.termination_log.read_text())
    assert found is not None
    return found


def test_a_problem_is_the_termination_message_and_exit_code_1(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    pod.light_curve.unlink()
    assert run_main(pod, monkeypatch, pod.stage()) == 1
    assert (problem(pod).step, problem(pod).reason) == ("msap1", "InputMissing")


def test_a_stage_of_which_a_step_is_reused_does_not_begin(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    made = pod.run()
    assert run_main(pod, monkeypatch, pod.stage(step(), step("msap2"), attempt="try-2")) == 1
    staged = parse_staged_in(pod.roots.termination_log.read_text())
    assert staged == StagedIn({"DP1": digest(LIGHT_CURVE)}, {"msap1": made._replace(job="try-1")})
    assert pod.unfinished() == []


def test_a_check_ends_well_whatever_it_finds_and_prepares_nothing(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_main(pod, monkeypatch, pod.stage(attempt="first"), action="check") == 0
    assert parse_staged_in(pod.roots.termination_log.read_text()) == StagedIn({"DP1": digest(LIGHT_CURVE)})
    assert not any(pod.roots.products.iterdir())
    made = pod.run()
    assert run_main(pod, monkeypatch, pod.stage(attempt="again"), action="check") == 0
    staged = parse_staged_in(pod.roots.termination_log.read_text())
    assert staged is not None
    assert staged.reused == {"msap1": made._replace(job="try-1")}


def test_a_withheld_step_is_reported_beside_the_published_ones_with_exit_code_1(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = pod.begin(step(), step("msap2"))
    pod.write(stage, "msap1")
    assert run_main(pod, monkeypatch, asked=order(stage)) == 1
    published = parse_published(pod.roots.termination_log.read_text())
    assert published is not None
    assert published.steps.keys() == {"msap1"}
    assert published.failed["msap2"].reason == "OutputMissing"


def test_trouble_with_the_volume_is_told_apart_from_a_modules(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    pod.star.parent.write_text("a file where the campaign's folder should be")
    assert run_main(pod, monkeypatch, pod.stage()) == 1
    assert problem(pod).reason == "StageInFailed"
    assert run_main(pod, monkeypatch, asked=order(pod.stage())) == 1
    assert problem(pod).reason == "PublishFailed"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO])
def test_a_volume_that_takes_nothing_fails_the_attempt_and_nothing_is_lost(
    pod: Pod, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def full(_: int) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        assert run_main(pod, patched, pod.stage()) == 1
    assert problem(pod).reason == "StageInFailed"
    stage = pod.begin()
    pod.write(stage, facts='{"modes": 7}')
    (pod.out(stage) / "core").write_bytes(b"not declared")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        assert run_main(pod, patched, asked=order(stage)) == 1
    assert problem(pod).reason == "PublishFailed"
    assert os.strerror(code) in problem(pod).message
    assert pod.visible() == []
    assert pod.publish(stage).steps["msap1"].facts == {"modes": 7}


def test_a_report_never_exceeds_what_the_kubelet_keeps(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [InputDescription(f"DP1_{'X' * 50}_{index:02d}", "inputs", "q1/KIC1/lc.h5") for index in range(64)]
    assert run_main(pod, monkeypatch, pod.stage(step(inputs=many))) == 0
    report = pod.roots.termination_log.read_text()
    assert len(report) <= room(3)
    staged = parse_staged_in(report)
    assert staged is not None
    assert 0 < len(staged.inputs) < len(many), "as many digests as there is room for; the manifest has them all"


def test_a_long_problem_is_shortened() -> None:
    text = Problem("s", "InputMissing", "x" * 5000).to_json(room(16))
    assert len(text) <= room(16)
    assert json.loads(text)["error"]["message"].endswith("...")


def test_containers_of_a_pod_share_what_the_kubelet_keeps() -> None:
    assert [room(count) for count in (1, 3, 4, 9, 14, 18)] == [4096, 4096, 3072, 1365, 877, 682]


def test_digests_go_first_where_a_report_has_no_room() -> None:
    steps = {f"msap1-{index:02d}": PublishedStep("d" * 64, {"flag": True}) for index in range(16)}
    fitted = Published(steps).fitted(room(18))
    assert fitted is not None
    assert len(fitted.to_json()) <= room(18)
    assert fitted.steps.keys() == steps.keys()
    assert {(one.digest, one.facts["flag"]) for one in fitted.steps.values()} == {(None, True)}


# Documents between the operator and the stager


def test_a_stage_survives_the_environment() -> None:
    late = InputDescription("L", "products", "q0/KIC1/m/L.h5", None, "q0/KIC1/m", "L", None, optional=True, late=True)
    steps = [step(command=["run"], forced=3), made_of("msap1", "msap2"), reading(), step(inputs=[late], parameters={})]
    stage = Stage("t", "KIC1", "q1", "uid", 3, steps)
    assert Stage.from_json(stage.to_json()) == stage


def test_a_parameter_that_is_false_or_zero_or_named_like_a_field_survives_the_environment() -> None:
    parameters = {"rerun": 0, "optional": False, "late": False, "text": ""}
    stage = Stage("t", "KIC1", "q1", "uid", 0, [step(parameters=parameters, seed=0)])
    assert Stage.from_json(stage.to_json()) == stage


def test_what_is_at_its_default_takes_no_room_in_a_stage() -> None:
    text = Stage("t", "KIC1", "q1", "uid", 0, [StepDescription("s", "m", "1", "i", 1, 0)]).to_json()
    assert json.loads(text) == {
        "id": "t",
        "star": "KIC1",
        "campaign": "q1",
        "processing": "uid",
        "steps": [{"name": "s", "module": "m", "version": "1", "image": "i", "attempt": 1, "seed": 0}],
    }


def test_an_order_survives_the_environment() -> None:
    asked = PublishOrder("q1", "KIC1", "try-1", ["msap1", "msap2"])
    assert PublishOrder.from_json(asked.to_json()) == asked


def test_reports_survive_the_termination_message() -> None:
    one = PublishedStep("d" * 64, {"modes": 7, "flag": False}, ["X"])
    assert parse_staged_in(StagedIn({"DP1": "a" * 64}, {"s": one}).to_json()) == StagedIn({"DP1": "a" * 64}, {"s": one})
    published = Published({"s": one, "t": PublishedStep("e" * 64)}, {"u": Withheld("OutputMissing", "gone")})
    assert parse_published(published.to_json()) == published


@pytest.mark.parametrize("text", ["", "{", "[]", "Traceback (most recent call last):", '{"steps": 3, "inputs": 4}'])
def test_what_is_no_report_is_none(text: str) -> None:
    assert parse_staged_in(text) is None
    assert parse_published(text) is None
    assert parse_problem(text) is None
