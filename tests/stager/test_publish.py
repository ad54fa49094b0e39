"""Publish: what becomes visible of what a module left, and what does not."""

import os

import pytest

from plato_sas.stager.description import InputDescription, OutputDescription
from plato_sas.stager.publish import publish
from tests.support.pod import LIGHT_CURVE, Pod, digest, order, step, withheld


def test_a_published_step_is_its_outputs_and_a_manifest(pod: Pod) -> None:
    report = pod.run(b"result")
    assert sorted(path.name for path in (pod.star / "msap1").iterdir()) == ["OUT.h5", "manifest.json"]
    assert (pod.star / "msap1/OUT.h5").read_bytes() == b"result"
    manifest = pod.manifest()
    assert manifest["outputs"] == {"OUT": {"path": "OUT.h5", "size": 6, "sha256": digest(b"result")}}
    assert manifest["inputs"] == {
        "DP1": {"volume": "inputs", "path": "q1/KIC1/lc.h5", "sha256": digest(LIGHT_CURVE)}
    }  # fmt: skip
    assert manifest["digest"] == report.digest
    assert (manifest["star"], manifest["campaign"], manifest["step"]) == ("KIC1", "q1", "msap1")
    assert manifest["module"]["version"] == "1.2.3"
    assert manifest["module"]["imageDigest"] == "sha256:" + "d" * 64
    assert manifest["module"]["args"] == ["--fast"]
    assert (manifest["parameters"], manifest["seed"], manifest["attempt"], manifest["attemptId"]) == (
        {"snr": 3.0}, 42, 1, "try-1"
    )  # fmt: skip
    assert (manifest["processing"], manifest["rerun"], manifest["missing"]) == ("uid-1", 0, [])
    assert len(manifest["key"]) == 64


def test_published_products_are_read_only_and_the_attempts_folder_is_gone(pod: Pod) -> None:
    pod.run()
    assert (pod.star / "msap1/OUT.h5").stat().st_mode & 0o777 == 0o444
    assert pod.unfinished() == []


def test_the_digest_is_of_the_content_alone(pod: Pod) -> None:
    first = pod.run(b"same", attempt="try-1").digest
    assert pod.run(b"same", attempt="try-2", parameters={"snr": 9.0}).digest == first
    assert pod.run(b"else", attempt="try-3", parameters={"snr": 8.0}).digest != first


def test_to_publish_again_replaces_the_whole_step(pod: Pod) -> None:
    outputs = [OutputDescription("OUT", "OUT.h5"), OutputDescription("MORE", "MORE.h5", optional=True)]
    stage = pod.begin(step(outputs=outputs))
    for name in ("OUT.h5", "MORE.h5"):
        (pod.out(stage) / name).write_bytes(b"old")
    pod.publish(stage)
    again = pod.run(b"new", attempt="try-2", outputs=outputs, parameters={"snr": 4.0})
    assert again.missing == ["MORE"]
    assert pod.manifest()["missing"] == ["MORE"]
    assert sorted(path.name for path in (pod.star / "msap1").iterdir()) == ["OUT.h5", "manifest.json"]
    assert (pod.star / "msap1/OUT.h5").read_bytes() == b"new"
    assert pod.manifest()["attemptId"] == "try-2"
    assert pod.unfinished() == []


def test_a_failed_second_try_leaves_the_first_product_as_it_was(pod: Pod) -> None:
    pod.run(b"good")
    before = {path.name: path.read_bytes() for path in (pod.star / "msap1").iterdir()}
    stage = pod.begin(step(parameters={"snr": 4.0}), attempt="try-2")
    assert pod.publish(stage).failed["msap1"].reason == "OutputMissing"
    assert {path.name: path.read_bytes() for path in (pod.star / "msap1").iterdir()} == before


def test_an_optional_output_may_be_missing(pod: Pod) -> None:
    outputs = [OutputDescription("OUT", "OUT.h5"), OutputDescription("X", "x.json", optional=True)]
    assert pod.run(outputs=outputs).missing == ["X"]


def test_an_optional_input_that_was_absent_is_not_in_the_manifest(pod: Pod) -> None:
    absent = InputDescription("DP2", "inputs", "q1/KIC1/none.h5", optional=True, late=True)
    pod.run(inputs=[*step().inputs, absent])
    assert pod.manifest()["inputs"].keys() == {"DP1"}


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
    pod.publish(stage)
    assert sorted(path.name for path in (pod.star / "msap1").iterdir()) == ["OUT.h5", "manifest.json"]
    assert pod.manifest()["undeclaredFilesRemoved"] == 6
    assert pod.light_curve.read_bytes() == LIGHT_CURVE, "a link was followed"


@pytest.mark.parametrize("kind", ["file", "link", "folder", "fifo"])
def test_a_modules_own_manifest_is_not_the_products(pod: Pod, kind: str) -> None:
    pod.run(b"other star's")
    other = pod.root / "precious"
    other.write_text("precious")
    stage = pod.begin(step(parameters={"snr": 4.0}), attempt="try-2")
    pod.write(stage)
    planted = pod.out(stage) / "manifest.json"
    match kind:
        case "file":
            planted.write_text('{"schema": "plato-sas.io/manifest/v1", "attemptId": "try-2"}')
        case "link":
            planted.symlink_to(other)
        case "folder":
            (planted / "deep").mkdir(parents=True)
        case "fifo":
            os.mkfifo(planted)
    assert pod.publish(stage).failed == {}
    assert pod.manifest()["outputs"]["OUT"]["sha256"] == digest(b"result")
    assert not (pod.product() / "manifest.json").is_symlink()
    assert other.read_text() == "precious"


def test_whatever_modes_a_module_sets_its_product_can_be_published_and_read(pod: Pod) -> None:
    stage = pod.begin()
    pod.write(stage)
    out = pod.out(stage)
    (out / "cache/deep").mkdir(parents=True)
    (out / "cache/deep/file").write_text("x")
    (out / "cache/deep").chmod(0)
    (out / "cache").chmod(0o500)
    (out / "OUT.h5").chmod(0o600)
    out.chmod(0o500)
    assert pod.publish(stage).failed == {}
    assert pod.product().stat().st_mode & 0o777 == 0o755
    assert (pod.product() / "OUT.h5").stat().st_mode & 0o777 == 0o444


# Publish: inputs that did not stay what they were


def test_an_input_replaced_while_the_stage_ran_withholds_who_read_it(pod: Pod) -> None:
    stage = pod.begin(step(), step("aside", inputs=[]))
    pod.write(stage)
    pod.light_curve.unlink()
    pod.light_curve.write_bytes(b"second delivery")
    published = pod.publish(stage)
    assert published.steps.keys() == {"aside"}
    assert published.failed["msap1"].reason == "ChecksumMismatch"
    assert published.failed["msap1"].message == (
        "step msap1: input DP1: inputs volume: q1/KIC1/lc.h5 was changed while its stage ran: "
        f"SHA-256 {digest(LIGHT_CURVE)} before, {digest(b'second delivery')} after"
    )


def test_the_same_content_delivered_again_is_the_same_input(pod: Pod) -> None:
    stage = pod.begin()
    pod.write(stage)
    pod.light_curve.unlink()
    pod.light_curve.write_bytes(LIGHT_CURVE)
    os.utime(pod.light_curve, (0, 0))
    assert pod.publish(stage).failed == {}


def test_an_input_removed_while_the_stage_ran_is_told(pod: Pod) -> None:
    stage = pod.begin()
    pod.write(stage)
    pod.light_curve.unlink()
    problem = withheld(pod, stage)
    assert problem.reason == "ChecksumMismatch"
    assert problem.message == "step msap1: input DP1: inputs volume: q1/KIC1/lc.h5 was removed while its stage ran"


def test_an_input_that_was_copied_may_change_afterwards(pod: Pod) -> None:
    stage = pod.begin(step(inputs=[step().inputs[0]._replace(late=True, optional=True)]))
    pod.write(stage)
    pod.light_curve.unlink()
    assert pod.publish(stage).failed == {}


# Publish: what is not there at all


def test_a_missing_output_is_named_and_nothing_is_visible(pod: Pod) -> None:
    problem = withheld(pod, pod.begin())
    assert problem.reason == "OutputMissing"
    assert problem.message == (
        "step msap1: output OUT: /sas/out/OUT.h5 does not exist, although the module ended with exit code 0; "
        "the folder is empty"
    )


def test_what_is_there_instead_of_a_missing_output_is_told_by_a_few_names(pod: Pod) -> None:
    stage = pod.begin()
    for name in ("out.h5", "a\x1b[31m", *(f"plot-{number}.png" for number in range(9))):
        (pod.out(stage) / name).write_bytes(b"x")
    message = withheld(pod, stage).message
    assert message.endswith("; the folder has a\\x1b[31m, out.h5, plot-0.png, plot-1.png, plot-2.png and 6 more"), (
        "names are escaped"
    )


def test_an_empty_output_is_refused(pod: Pod) -> None:
    stage = pod.begin()
    (pod.out(stage) / "OUT.h5").touch()
    problem = withheld(pod, stage)
    assert (problem.reason, problem.message) == ("OutputInvalid", "step msap1: output OUT: /sas/out/OUT.h5 is empty")


@pytest.mark.timeout(20)
def test_an_output_above_its_limit_is_refused_without_being_read(pod: Pod) -> None:
    stage = pod.begin(step(outputs=[OutputDescription("OUT", "OUT.h5", max_size=1 << 20)]))
    with (pod.out(stage) / "OUT.h5").open("wb") as file:
        file.truncate(1 << 40)  # a terabyte of nothing: it would be read for an hour
    problem = withheld(pod, stage)
    assert (problem.reason, problem.message) == (
        "OutputTooLarge",
        "step msap1: output OUT: /sas/out/OUT.h5 has 1099511627776 bytes, more than the 1048576 that it may have",
    )


@pytest.mark.parametrize(("own", "outcome"), [(None, "OutputTooLarge"), (7, None), (5, "OutputTooLarge")])
def test_the_sites_limit_holds_for_outputs_without_their_own(pod: Pod, own: int | None, outcome: str | None) -> None:
    stage = pod.begin(step(outputs=[OutputDescription("OUT", "OUT.h5", max_size=own)]))
    pod.write(stage)
    failed = publish(order(stage)._replace(max_size=5), pod.roots).failed
    assert [one.reason for one in failed.values()] == ([outcome] if outcome else [])


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["link", "dangling", "hard link", "fifo", "folder", "socket"])
def test_an_output_is_a_regular_file(pod: Pod, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = pod.begin()
    path = pod.out(stage) / "OUT.h5"
    match kind:
        case "link":
            path.symlink_to(pod.light_curve)
        case "dangling":
            path.symlink_to("nowhere")
        case "hard link":
            (path.parent / "other").write_bytes(b"result")
            path.hardlink_to(path.parent / "other")
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "socket":
            import socket

            monkeypatch.chdir(path.parent)
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(path.name)
    problem = withheld(pod, stage)
    assert problem.reason == "OutputInvalid"
    assert problem.message.startswith("step msap1: output OUT: /sas/out/OUT.h5 ")
