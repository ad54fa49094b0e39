"""The stager's two commands: exit codes and termination messages."""

import json
import os
import subprocess
import sys

import pytest

from plato_sas.stager.__main__ import main
from plato_sas.stager.description import (
    STAGE_VARIABLE,
    InputDescription,
    Stage,
)
from plato_sas.stager.messages import (
    LIMIT,
    Problem,
    StagedIn,
    parse_problem,
    parse_published,
    parse_staged_in,
)
from sas_pod import LIGHT_CURVE, Pod, digest, reading, step


def command(pod: Pod, action: str, stage: Stage | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SAS_ROOT": str(pod.root), **env}
    if stage is not None:
        environment[STAGE_VARIABLE] = stage.to_json()
    arguments = [sys.executable, "-m", "plato_sas.stager", action]
    return subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_two_commands_carry_a_stage_from_inputs_to_products(pod: Pod) -> None:
    stage = Stage("try-1", "KIC1", "q1", [step()])
    first = command(pod, "stage-in", stage)
    assert first.returncode == 0, first.stderr
    staged = parse_staged_in(pod.roots.termination_log.read_text())
    assert staged == StagedIn({"DP1": digest(LIGHT_CURVE)})
    assert json.loads(first.stdout)["component"] == "stage-in"
    (pod.out(stage) / "OUT.h5").write_bytes(b"result")
    second = command(pod, "publish", SAS_NODE="node-7")
    assert second.returncode == 0, second.stderr
    published = parse_published(pod.roots.termination_log.read_text())
    assert published is not None
    assert published.steps["msap1"].digest == pod.manifest()["digest"]
    assert pod.manifest()["node"] == "node-7"


def run_main(pod: Pod, action: str, monkeypatch: pytest.MonkeyPatch, stage: Stage | None = None) -> int:
    monkeypatch.setenv("SAS_ROOT", str(pod.root))
    monkeypatch.setattr(sys, "argv", ["plato_sas.stager", action])
    if stage is not None:
        monkeypatch.setenv(STAGE_VARIABLE, stage.to_json())
    return main()


def test_a_problem_is_the_termination_message_and_exit_code_1(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    pod.light_curve.unlink()
    assert run_main(pod, "stage-in", monkeypatch, Stage("t", "KIC1", "q1", [step()])) == 1
    problem = parse_problem(pod.roots.termination_log.read_text())
    assert problem is not None
    assert (problem.step, problem.reason) == ("msap1", "InputMissing")


def test_trouble_with_the_volume_is_told_apart_from_a_modules(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    pod.star.parent.write_text("a file where the campaign's folder should be")
    assert run_main(pod, "stage-in", monkeypatch, Stage("t", "KIC1", "q1", [step()])) == 1
    problem = parse_problem(pod.roots.termination_log.read_text())
    assert problem is not None
    assert problem.reason == "StageInFailed"
    assert run_main(pod, "publish", monkeypatch) == 1
    problem = parse_problem(pod.roots.termination_log.read_text())
    assert problem is not None
    assert problem.reason == "PublishFailed"


def test_a_report_never_exceeds_what_the_kubelet_keeps(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [InputDescription(f"DP1_{'X' * 50}_{index:02d}", "inputs", "q1/KIC1/lc.h5") for index in range(64)]
    assert run_main(pod, "stage-in", monkeypatch, Stage("t", "KIC1", "q1", [step(inputs=many)])) == 1
    text = pod.roots.termination_log.read_text()
    assert len(text.encode()) <= LIMIT
    problem = parse_problem(text)
    assert problem is not None
    assert problem.reason == "ReportTooLarge"


def test_a_long_problem_is_shortened() -> None:
    text = Problem("s", "InputMissing", "x" * 5000).to_json()
    assert len(text) <= LIMIT
    assert json.loads(text)["error"]["message"].endswith("...")


def test_a_stage_survives_the_environment() -> None:
    stage = Stage("t", "KIC1", "q1", [step(), reading()])
    assert Stage.from_json(stage.to_json()) == stage
