"""Stage-in: what a module may find."""

import json
import os
from dataclasses import replace

import pytest

from plato_sas.stager.description import (
    InputDescription,
    Stage,
    StepDescription,
)
from plato_sas.stager.messages import (
    Problem,
    StagedIn,
)
from plato_sas.stager.publish import publish
from plato_sas.stager.stage_in import stage_in
from sas_pod import LIGHT_CURVE, Pod, digest, reading, step


def refused(pod: Pod, *steps: StepDescription) -> Problem:
    with pytest.raises(Problem) as error:
        pod.begin(*steps)
    return error.value


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
    assert problem.reason == "InputInvalid"


def test_an_input_behind_links_in_a_circle_is_refused(pod: Pod) -> None:
    (pod.roots.inputs / "round").symlink_to("about")
    (pod.roots.inputs / "about").symlink_to("round")
    problem = refused(pod, step(inputs=[InputDescription("DP1", "inputs", "round/lc.h5")]))
    assert (problem.step, problem.reason) == ("msap1", "InputInvalid")
    assert "round/lc.h5" in problem.message


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
