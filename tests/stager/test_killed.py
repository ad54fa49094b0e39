"""SIGKILL between any two changes of the file system, and what the next run makes of it."""

import ctypes
import json
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from plato_sas.stager import placing
from plato_sas.stager.description import InputDescription, OutputDescription, Stage
from plato_sas.stager.publish import publish
from plato_sas.stager.stage_in import stage_in
from tests.support.pod import Pod, digest, killed_at, made_of, order, step

FACTS = '{"flag": false, "modes": 7}'
OUTPUTS = [OutputDescription("OUT", "OUT.h5"), OutputDescription("X", "x.json", optional=True)]


def every_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepare: Callable[[Pod], Callable[[], object]]
) -> list[Pod]:
    """Pods in which a run was killed, one a moment; `prepare` gives the run."""
    pods: list[Pod] = []
    for moment in count():
        pod = Pod(tmp_path / str(moment))
        run = prepare(pod)
        with killed_at(moment, monkeypatch) as reached:
            run()
        if not reached():
            return pods
        pods.append(pod)
    raise AssertionError


def tree(folder: Path) -> dict[str, str]:
    """Every file below a folder with its content, and every empty folder; without times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.name in ("manifest.json", ".stage.json"):
            document = json.loads(path.read_text())
            found[name] = json.dumps({k: v for k, v in document.items() if k not in VOLATILE}, sort_keys=True)
        elif path.is_symlink():  # an input that another step of the stage makes
            found[name] = os.readlink(path)
        elif path.is_file():
            found[name] = f"{path.stat().st_mode & 0o777:o} {digest(path.read_bytes())}"
        elif not any(path.iterdir()) and path.parent.name != ".attempts":
            # An empty folder of another attempt may stay: it looks like one that begins.
            found[name] = "empty"
    return found


# A second run no longer sees what a first one removed.
VOLATILE = {"publishedAt", "undeclaredFilesRemoved", "externals"}


def whole(pod: Pod, name: str) -> bool:
    """Whether a visible step is all that its manifest says."""
    outputs = pod.manifest(name)["outputs"]
    return {one["path"]: one["sha256"] for one in outputs.values()} == {
        path.name: digest(path.read_bytes()) for path in pod.product(name).iterdir() if path.name != "manifest.json"
    }


def cannot_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on NFS."""
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())


def finished_stage(pod: Pod, replacing: bool) -> Stage:
    if replacing:
        older = pod.begin(step(parameters={"snr": 1.0}), made_of("msap1", "msap2"), attempt="older")
        pod.write(older, content=b"older")
        pod.publish(older)
    stage = pod.begin(step(outputs=OUTPUTS), made_of("msap1", "msap2"))
    pod.write(stage, facts=FACTS)
    (pod.out(stage) / "core").write_text("x")
    (pod.out(stage) / "cache/deep").mkdir(parents=True)
    (pod.out(stage) / "cache/deep/file").write_text("x")
    return stage


@pytest.mark.parametrize("case", ["first", "replacing", "replacing in two renames"])
def test_publish_killed_anywhere_and_asked_again_reports_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    if case == "replacing in two renames":
        cannot_exchange(monkeypatch)
    stages: list[Stage] = []

    def prepare(pod: Pod) -> Callable[[], object]:
        stages.append(finished_stage(pod, case != "first"))
        return lambda: publish(order(stages[-1]), pod.roots)

    undisturbed = Pod(tmp_path / "undisturbed")
    stage = finished_stage(undisturbed, case != "first")
    expected = undisturbed.publish(stage)
    assert expected.steps["msap1"].facts == {"flag": False, "modes": 7}
    pods = every_moment(tmp_path, monkeypatch, prepare)
    assert len(pods) > 30
    for pod in pods:
        assert all(whole(pod, name) for name in pod.visible()), f"half a product is visible in {pod.root}"
        assert pod.publish(stage) == expected, pod.root
        assert tree(pod.roots.products) == tree(undisturbed.roots.products), pod.root


def test_publish_killed_anywhere_is_followed_by_an_attempt_that_clears_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cannot_exchange(monkeypatch)

    def prepare(pod: Pod) -> Callable[[], object]:
        stage = finished_stage(pod, True)
        return lambda: publish(order(stage), pod.roots)

    for pod in every_moment(tmp_path, monkeypatch, prepare):
        steps = step(outputs=OUTPUTS, parameters={"snr": 7.0}), made_of("msap1", "msap2")
        stage = pod.begin(*steps, attempt="try-2", processing="uid-2")
        attempts = pod.roots.products / stage.attempts_folder
        assert tree(attempts).keys() == {"try-2/.stage.json", "try-2/msap1", "try-2/msap2"}, pod.root
        pod.write(stage)
        pod.publish(stage)
        assert tree(attempts) == {}


def test_stage_in_killed_anywhere_and_run_again_prepares_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = InputDescription("AUX", "inputs", "q1/KIC1/lc.h5", optional=True, late=True)

    def prepare(pod: Pod) -> Callable[[], object]:
        left = pod.begin(step("a"), step("b"), attempt="try-0")
        pod.write(left)
        return lambda: stage_in(stage(pod), pod.roots)

    def stage(pod: Pod) -> Stage:
        return pod.stage(step("a", inputs=[late, *step().inputs]), made_of("a", "b"))

    undisturbed = Pod(tmp_path / "undisturbed")
    prepare(undisturbed)()
    pods = every_moment(tmp_path, monkeypatch, prepare)
    assert len(pods) > 20
    for pod in pods:
        assert stage_in(stage(pod), pod.roots).reused == {}
        assert tree(pod.roots.products) == tree(undisturbed.roots.products), pod.root
        assert tree(pod.roots.work) == tree(undisturbed.roots.work), pod.root


@pytest.mark.parametrize("links", ["hard links", "copies"])
def test_stage_in_killed_while_it_takes_another_campaigns_product_and_run_again_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: str
) -> None:
    def no_link(*_: Any, **__: Any) -> None:
        raise PermissionError

    if links == "copies":
        monkeypatch.setattr(os, "link", no_link)

    def prepare(pod: Pod) -> Callable[[], object]:
        made = pod.begin(step(), made_of("msap1", "msap2"))
        pod.write(made)
        pod.publish(made)
        pod.run(b"other", campaign="q2", parameters={"snr": 9.0}, attempt="older")
        return lambda: again(pod)

    def again(pod: Pod) -> set[str]:
        return set(pod.stage_in(step(), made_of("msap1", "msap2"), campaign="q2", attempt="new").reused)

    pods = every_moment(tmp_path, monkeypatch, prepare)
    assert len(pods) > 15
    for pod in pods:
        assert again(pod) == {"msap1", "msap2"}
        assert pod.unfinished("q2") == []
        for name in ("msap1", "msap2"):
            assert (pod.product(name, "q2") / "OUT.h5").read_bytes() == b"result"
            assert pod.manifest(name, "q2")["reusedFrom"]["campaign"] == "q1"


def test_a_volume_that_refuses_to_exchange_for_another_reason_is_at_fault(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod.run(b"good")
    stage = pod.begin(step(parameters={"snr": 4.0}), attempt="try-2")
    pod.write(stage, content=b"better")
    monkeypatch.setattr(placing, "_AT_FDCWD", -1)
    monkeypatch.setattr(os, "fsencode", lambda path: os.path.basename(path).encode())
    with pytest.raises(OSError, match="Bad file descriptor"):
        pod.publish(stage)
    assert (pod.product() / "OUT.h5").read_bytes() == b"good"
