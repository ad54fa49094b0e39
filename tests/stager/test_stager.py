"""Stage-in and publish over real files: what a module may find, and what becomes visible of what it left."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from plato_sas.stager.__main__ import main
from plato_sas.stager.description import (
    STAGE_VARIABLE,
    FactDescription,
    InputDescription,
    OutputDescription,
    Stage,
    StepDescription,
)
from plato_sas.stager.messages import (
    LIMIT,
    Problem,
    Published,
    StagedIn,
    parse_problem,
    parse_published,
    parse_staged_in,
)
from plato_sas.stager.publish import publish
from plato_sas.stager.roots import Roots
from plato_sas.stager.stage_in import stage_in

LIGHT_CURVE = b"flux of a quiet star"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def step(name: str = "msap1", **fields: Any) -> StepDescription:
    """A step that reads the light curve and writes OUT.h5."""
    return replace(
        StepDescription(
            name=name,
            module="m",
            version="1.2.3",
            image="registry/m@sha256:" + "d" * 64,
            command=None,
            args=["--fast"],
            attempt=1,
            seed=42,
            parameters={"snr": 3.0},
            inputs=[InputDescription("DP1", "inputs", "q1/KIC1/lc.h5")],
            outputs=[OutputDescription("OUT", "OUT.h5", False)],
            facts=[
                FactDescription("flag", "boolean"),
                FactDescription("modes", "integer"),
                FactDescription("nu_max", "number"),
                FactDescription("quality", "string"),
            ],
        ),
        **fields,
    )


def reading(producer: str = "msap1", **fields: Any) -> StepDescription:
    """A step that reads what another one published."""
    folder = f"q1/KIC1/{producer}"
    one = InputDescription("IN", "products", f"{folder}/OUT.h5", producer=folder, output="OUT")
    return step("msap2", inputs=[one], **fields)


@dataclass
class Pod:
    """The volumes of one pod, with the star's light curve in place."""

    root: Path

    def __post_init__(self) -> None:
        self.roots = Roots(
            self.root / "sas/inputs", self.root / "sas/products", self.root / "sas/work", self.root / "dev/termination-log"
        )  # fmt: skip
        for folder in (self.roots.inputs / "q1/KIC1", self.roots.products, self.roots.work, self.root / "dev"):
            folder.mkdir(parents=True)
        self.light_curve = self.roots.inputs / "q1/KIC1/lc.h5"
        self.light_curve.write_bytes(LIGHT_CURVE)
        self.star = self.roots.products / "q1/KIC1"

    def out(self, stage: Stage, name: str = "msap1") -> Path:
        return self.roots.products / stage.attempt_folder / name

    def begin(self, *steps: StepDescription, attempt: str = "try-1") -> Stage:
        stage = Stage(attempt, "KIC1", "q1", list(steps or [step()]))
        stage_in(stage, self.roots)
        return stage

    def run(self, content: bytes = b"result", attempt: str = "try-1", **fields: Any) -> Published:
        stage = self.begin(step(**fields), attempt=attempt)
        (self.out(stage) / "OUT.h5").write_bytes(content)
        return publish(self.roots)

    def manifest(self, name: str = "msap1") -> dict[str, Any]:
        return json.loads((self.star / name / "manifest.json").read_text())

    def visible(self) -> list[str]:
        """What somebody who looks at the star's products sees."""
        return sorted(path.name for path in self.star.iterdir() if not path.name.startswith("."))


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path)


def refused(pod: Pod, *steps: StepDescription) -> Problem:
    with pytest.raises(Problem) as error:
        pod.begin(*steps)
    return error.value


def unpublished(pod: Pod) -> Problem:
    with pytest.raises(Problem) as error:
        publish(pod.roots)
    assert pod.visible() == [], "something of a bad step is visible"
    return error.value


# Stage-in


def test_stage_in_makes_an_empty_folder_and_writes_the_parameters(pod: Pod) -> None:
    stage = pod.begin(step(parameters={"snr": 3.0, "method": "acf"}))
    assert list(pod.out(stage).iterdir()) == []
    assert json.loads((pod.roots.work / "msap1.params.json").read_text()) == {"snr": 3.0, "method": "acf"}


def test_stage_in_reports_what_it_read(pod: Pod) -> None:
    stage = Stage("t", "KIC1", "q1", [step()])
    assert stage_in(stage, pod.roots) == StagedIn({"DP1": digest(LIGHT_CURVE)})


def test_a_right_checksum_passes_and_a_wrong_one_names_the_file_and_both_digests(pod: Pod) -> None:
    expected = InputDescription("DP1", "inputs", "q1/KIC1/lc.h5", sha256=digest(LIGHT_CURVE))
    pod.begin(step(inputs=[expected]))
    problem = refused(pod, step(inputs=[replace(expected, sha256="0" * 64)]))
    assert (problem.step, problem.reason) == ("msap1", "ChecksumMismatch")
    assert problem.message == (
        f"step msap1: input DP1: inputs volume: q1/KIC1/lc.h5 has SHA-256 {digest(LIGHT_CURVE)}, expected {'0' * 64}"
    )


def test_a_missing_input_names_the_file(pod: Pod) -> None:
    pod.light_curve.unlink()
    problem = refused(pod)
    assert problem.reason == "InputMissing"
    assert problem.message == "step msap1: input DP1: inputs volume: q1/KIC1/lc.h5 does not exist"


def test_an_input_that_leads_out_of_its_volume_is_refused(pod: Pod) -> None:
    secret = pod.root / "secret"
    secret.mkdir()
    (secret / "lc.h5").write_bytes(LIGHT_CURVE)
    (pod.roots.inputs / "q2").symlink_to(secret)
    problem = refused(pod, step(inputs=[InputDescription("DP1", "inputs", "q2/lc.h5")]))
    assert (problem.reason, "leads out of the volume" in problem.message) == ("InputInvalid", True)
    pod.light_curve.unlink()
    pod.light_curve.symlink_to(secret / "lc.h5")
    assert refused(pod).reason == "InputInvalid"


def test_an_input_is_a_regular_file(pod: Pod) -> None:
    pod.light_curve.unlink()
    pod.light_curve.mkdir()
    assert refused(pod).reason == "InputInvalid"
    pod.light_curve.rmdir()
    os.mkfifo(pod.light_curve)
    assert refused(pod).reason == "InputInvalid"
    problem = refused(pod, step(inputs=[InputDescription("DP1", "inputs", "q1/KIC1/lc.h5/deeper")]))
    assert problem.reason in ("InputInvalid", "InputMissing")


def test_a_published_input_must_be_what_its_producer_published(pod: Pod) -> None:
    pod.run(b"good")
    pod.begin(reading())
    product = pod.star / "msap1/OUT.h5"
    product.chmod(0o644)
    product.write_bytes(b"evil")
    problem = refused(pod, reading())
    assert (problem.step, problem.reason) == ("msap2", "ChecksumMismatch")
    assert digest(b"good") in problem.message


def test_a_published_input_without_a_manifest_is_refused(pod: Pod) -> None:
    pod.run()
    (pod.star / "msap1/manifest.json").unlink()
    problem = refused(pod, reading())
    assert problem.message.endswith("is not in the manifest of q1/KIC1/msap1")


def test_an_input_made_in_the_same_stage_is_not_looked_for(pod: Pod) -> None:
    here = InputDescription("IN", "products", "q1/KIC1/.attempts/try-1/msap1/OUT.h5")
    stage = pod.begin(step(), step("msap2", inputs=[here]))
    for name in ("msap1", "msap2"):
        (pod.out(stage, name) / "OUT.h5").write_bytes(b"x")
    assert publish(pod.roots).steps.keys() == {"msap1", "msap2"}
    assert pod.visible() == ["msap1", "msap2"]


def test_stage_in_clears_what_earlier_attempts_at_its_steps_left(pod: Pod) -> None:
    first = pod.begin(attempt="try-1")
    (pod.out(first) / "half.h5").write_bytes(b"half")
    second = pod.begin(attempt="try-2")
    assert not pod.out(first).parent.exists()
    assert list(pod.out(second).iterdir()) == []
    (pod.out(second) / "half.h5").write_bytes(b"half")
    again = pod.begin(attempt="try-2")
    assert list(pod.out(again).iterdir()) == [], "a pod that was replaced begins anew"


def test_stage_in_leaves_other_steps_attempts_alone_even_while_they_begin(pod: Pod) -> None:
    other = pod.begin(step("msap2", inputs=[]), attempt="other")
    (pod.out(other, "msap2") / "half.h5").write_bytes(b"half")
    beginning = pod.star / ".attempts/just-made"
    beginning.mkdir()
    pod.begin(attempt="try-1")
    assert (pod.out(other, "msap2") / "half.h5").exists()
    assert beginning.exists(), "its step's folder is about to be made"


# Publish: what is there whole


def test_a_published_step_is_its_outputs_and_a_manifest(pod: Pod) -> None:
    report = pod.run(b"result")
    assert sorted(path.name for path in (pod.star / "msap1").iterdir()) == ["OUT.h5", "manifest.json"]
    assert (pod.star / "msap1/OUT.h5").read_bytes() == b"result"
    manifest = pod.manifest()
    assert manifest["outputs"] == {"OUT": {"path": "OUT.h5", "size": 6, "sha256": digest(b"result")}}
    assert manifest["inputs"] == {
        "DP1": {"volume": "inputs", "path": "q1/KIC1/lc.h5", "sha256": digest(LIGHT_CURVE)}
    }  # fmt: skip
    assert manifest["digest"] == report.steps["msap1"].digest
    assert (manifest["star"], manifest["campaign"], manifest["step"]) == ("KIC1", "q1", "msap1")
    assert manifest["module"]["version"] == "1.2.3"
    assert manifest["module"]["imageDigest"] == "sha256:" + "d" * 64
    assert manifest["module"]["args"] == ["--fast"]
    assert (manifest["parameters"], manifest["seed"], manifest["attempt"], manifest["attemptId"]) == (
        {"snr": 3.0}, 42, 1, "try-1"
    )  # fmt: skip


def test_published_products_are_read_only_and_the_attempts_folder_is_gone(pod: Pod) -> None:
    pod.run()
    assert (pod.star / "msap1/OUT.h5").stat().st_mode & 0o777 == 0o444
    assert list((pod.star / ".attempts").iterdir()) == []


def test_the_digest_is_of_the_content_alone(pod: Pod) -> None:
    first = pod.run(b"same", attempt="try-1").steps["msap1"].digest
    assert pod.run(b"same", attempt="try-2", parameters={"snr": 9.0}).steps["msap1"].digest == first
    assert pod.run(b"else", attempt="try-3").steps["msap1"].digest != first


def test_to_publish_again_replaces_the_whole_step(pod: Pod) -> None:
    outputs = [OutputDescription("OUT", "OUT.h5", False), OutputDescription("MORE", "MORE.h5", True)]
    stage = pod.begin(step(outputs=outputs))
    for name in ("OUT.h5", "MORE.h5"):
        (pod.out(stage) / name).write_bytes(b"old")
    publish(pod.roots)
    assert pod.run(b"new", attempt="try-2", outputs=outputs).steps["msap1"].missing == ["MORE"]
    assert sorted(path.name for path in (pod.star / "msap1").iterdir()) == ["OUT.h5", "manifest.json"]
    assert (pod.star / "msap1/OUT.h5").read_bytes() == b"new"
    assert pod.manifest()["attemptId"] == "try-2"
    assert list((pod.star / ".attempts").iterdir()) == []


def test_a_failed_second_try_leaves_the_first_product_as_it_was(pod: Pod) -> None:
    pod.run(b"good")
    before = {path.name: path.read_bytes() for path in (pod.star / "msap1").iterdir()}
    pod.begin(attempt="try-2")
    with pytest.raises(Problem):
        publish(pod.roots)
    assert {path.name: path.read_bytes() for path in (pod.star / "msap1").iterdir()} == before


def test_an_optional_output_may_be_missing(pod: Pod) -> None:
    stage = pod.begin(step(outputs=[OutputDescription("OUT", "OUT.h5", False), OutputDescription("X", "x.json", True)]))
    (pod.out(stage) / "OUT.h5").write_bytes(b"r")
    assert publish(pod.roots).steps["msap1"].missing == ["X"]


def test_what_was_not_declared_is_removed_and_counted(pod: Pod) -> None:
    stage = pod.begin()
    out = pod.out(stage)
    (out / "OUT.h5").write_bytes(b"r")
    (out / "debug.log").write_text("x")
    (out / ".hidden").write_text("x")
    (out / "plots").mkdir()
    (out / "plots/p.png").write_text("x")
    (out / "link").symlink_to("/etc/passwd")
    (out / "folder-link").symlink_to(pod.roots.inputs)
    (out / "facts.json").write_text("{}")
    os.mkfifo(out / "fifo")
    publish(pod.roots)
    assert sorted(path.name for path in (pod.star / "msap1").iterdir()) == ["OUT.h5", "manifest.json"]
    assert pod.manifest()["undeclaredFilesRemoved"] == 6
    assert pod.light_curve.read_bytes() == LIGHT_CURVE, "a link was followed"


# Publish: what is not there at all


def test_a_missing_output_is_named_and_nothing_is_visible(pod: Pod) -> None:
    pod.begin()
    problem = unpublished(pod)
    assert (problem.step, problem.reason) == ("msap1", "OutputMissing")
    assert problem.message == (
        "step msap1: output OUT: /sas/out/OUT.h5 does not exist, although the module ended with exit code 0"
    )


def test_an_empty_output_is_refused(pod: Pod) -> None:
    stage = pod.begin()
    (pod.out(stage) / "OUT.h5").touch()
    problem = unpublished(pod)
    assert (problem.reason, problem.message) == ("OutputInvalid", "step msap1: output OUT: /sas/out/OUT.h5 is empty")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["link", "dangling", "fifo", "folder", "socket"])
def test_an_output_is_a_regular_file(pod: Pod, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = pod.begin()
    path = pod.out(stage) / "OUT.h5"
    match kind:
        case "link":
            path.symlink_to(pod.light_curve)
        case "dangling":
            path.symlink_to("nowhere")
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "socket":
            import socket

            monkeypatch.chdir(path.parent)
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(path.name)
    problem = unpublished(pod)
    assert problem.reason == "OutputInvalid"
    assert problem.message.startswith("step msap1: output OUT: /sas/out/OUT.h5 ")


def test_of_several_steps_none_is_visible_if_one_is_bad(pod: Pod) -> None:
    stage = pod.begin(step(), step("msap2"))
    (pod.out(stage, "msap1") / "OUT.h5").write_bytes(b"fine")
    assert unpublished(pod).step == "msap2"


# Facts


def facts(pod: Pod, text: str | bytes) -> None:
    stage = pod.begin()
    (pod.out(stage) / "OUT.h5").write_bytes(b"r")
    content = text if isinstance(text, bytes) else text.encode()
    (pod.out(stage) / "facts.json").write_bytes(content)


def test_declared_facts_are_reported_with_their_types(pod: Pod) -> None:
    facts(pod, '{"flag": false, "modes": 7, "nu_max": 2400, "quality": "quiet"}')
    reported = publish(pod.roots).steps["msap1"].facts
    assert reported == {"flag": False, "modes": 7, "nu_max": 2400.0, "quality": "quiet"}
    assert isinstance(reported["nu_max"], float)
    assert pod.manifest()["facts"] == reported


def test_a_fact_that_is_not_known_may_be_left_out(pod: Pod) -> None:
    facts(pod, '{"flag": true}')
    assert publish(pod.roots).steps["msap1"].facts == {"flag": True}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"delta_nu": 1}', "'delta_nu' is not declared by the module (declared: flag, modes, nu_max, quality)"),
        ('{"flag": 1}', "flag must be of type boolean, not 1"),
        ('{"flag": null}', "flag must be of type boolean, not null"),
        ('{"modes": true}', "modes must be of type integer, not true"),
        ('{"modes": 7.0}', "modes must be of type integer, not 7.0"),
        ('{"modes": 9223372036854775808}', "modes does not fit into 64 bits"),
        ('{"nu_max": true}', "nu_max must be of type number, not true"),
        ('{"nu_max": "high"}', 'nu_max must be of type number, not "high"'),
        ('{"nu_max": NaN}', "nu_max is not a finite number"),
        ('{"nu_max": -Infinity}', "nu_max is not a finite number"),
        ('{"nu_max": 1e999}', "nu_max is not a finite number"),
        ('{"nu_max": 1' + "0" * 400 + "}", "nu_max does not fit into 64 bits"),
        ('{"quality": 3}', "quality must be of type string, not 3"),
        ('{"quality": "' + "x" * 129 + '"}', "quality is longer than 128 characters"),
        ('{"quality": {"a": 1}}', 'quality must be of type string, not {"a": 1}'),
        ("[1]", "must be one JSON object"),
        ("7", "must be one JSON object"),
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 60_000, "is not JSON"),
        (b'{"quality": "\xff"}', "is not JSON"),
        (" " * 70_000, "is larger than 65536 bytes"),
    ],
)
def test_facts_that_break_the_declaration_are_refused_by_name(pod: Pod, text: str | bytes, told: str) -> None:
    facts(pod, text)
    problem = unpublished(pod)
    assert (problem.step, problem.reason) == ("msap1", "FactsInvalid")
    assert told in problem.message
    assert "facts.json" in problem.message
    assert problem.message.startswith("step msap1: ")


@pytest.mark.timeout(20)
def test_facts_are_read_from_a_regular_file_only(pod: Pod) -> None:
    stage = pod.begin()
    (pod.out(stage) / "OUT.h5").write_bytes(b"r")
    os.mkfifo(pod.out(stage) / "facts.json")
    assert unpublished(pod).reason == "FactsInvalid"
    (pod.out(stage) / "facts.json").unlink()
    (pod.out(stage) / "facts.json").symlink_to(pod.light_curve)
    assert unpublished(pod).reason == "FactsInvalid"


def test_facts_too_large_for_the_report_are_refused_before_anything_is_visible(pod: Pod) -> None:
    names = [f"note_{index:02d}" for index in range(16)]
    stage = pod.begin(step(facts=[FactDescription(name, "string") for name in names]))
    (pod.out(stage) / "OUT.h5").write_bytes(b"r")
    (pod.out(stage) / "facts.json").write_text(json.dumps(dict.fromkeys(names, "ν" * 128)))
    problem = unpublished(pod)
    assert problem.reason == "FactsInvalid"
    assert "too large" in problem.message


def test_a_fact_with_an_absurd_name_still_gives_a_readable_report(pod: Pod) -> None:
    facts(pod, json.dumps({"\N{GRINNING FACE}" * 5000: 1}))
    text = unpublished(pod).to_json()
    assert len(text) <= LIMIT
    problem = parse_problem(text)
    assert problem is not None
    assert problem.reason == "FactsInvalid"


# The command


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
