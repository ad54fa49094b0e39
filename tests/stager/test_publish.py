"""Publish: what becomes visible of what a module left, and what does not."""

import os

import pytest

from plato_sas.stager.description import (
    OutputDescription,
)
from plato_sas.stager.messages import (
    Problem,
)
from plato_sas.stager.publish import publish
from sas_pod import LIGHT_CURVE, Pod, digest, step, unpublished


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
