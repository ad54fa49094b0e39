from pathlib import Path

import pytest

from e2e.cluster.errors import ClusterError
from e2e.cluster.kind import smoke
from e2e.cluster.kind.engine import Places
from e2e.cluster.kind.smoke import StepFailed, main
from e2e.setup.prerequisites import PrerequisiteError


class Steps:
    """Notes the commands of a smoke, and has some of them fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.ran: list[str] = []
        self.failing = ""
        monkeypatch.setattr(smoke, "_module", self._module)
        monkeypatch.setattr(smoke, "_STATE", folder / "kind-smoke")
        monkeypatch.setattr(smoke, "_no_engine", lambda: "")
        monkeypatch.setattr(smoke, "places", lambda: Places(folder, folder / "runtime"))
        (folder / "runtime").mkdir()

    def _module(self, name: str, *arguments: str, shown: bool = True) -> str:
        self.ran.append(" ".join([name, *arguments[:1]]))
        if self.failing and self.ran[-1].startswith(self.failing):
            raise StepFailed(f"{name} ended with 1")
        return "" if shown else "/a.tar\n/b.tar\n"


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Steps:
    return Steps(monkeypatch, tmp_path)


def test_the_cluster_comes_up_is_used_and_goes(steps: Steps, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert sorted(steps.ran[:2]) == ["e2e.images build", "e2e.setup.toolchain kube"]
    assert steps.ran[2:] == [
        "e2e.cluster up",
        "e2e.images archives",
        "e2e.cluster load",
        "pytest --quiet",
        "e2e.cluster down",
    ]
    assert capsys.readouterr().out == "kind smoke: passed\n"


@pytest.mark.parametrize("failing", ["e2e.images build", "e2e.cluster up", "pytest"])
def test_a_step_that_fails_fails_the_smoke_and_the_cluster_goes(
    steps: Steps, failing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    steps.failing = failing
    assert main([]) == 1
    assert steps.ran[-1] == "e2e.cluster down"
    assert "kind smoke: FAILED: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lacking", "why"),
    [
        (PrerequisiteError("missing:\n  runc"), "missing:"),
        (ClusterError("no Docker engine answers, and starting one needs root"), "starting one needs root"),
    ],
)
def test_where_docker_cannot_run_one_line_says_so_and_nothing_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lacking: Exception, why: str
) -> None:
    def refuse(*_: object) -> None:
        raise lacking

    monkeypatch.setattr(smoke, "ensure", refuse)
    assert main([]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("kind smoke: left out, as no Docker engine can run here: ")
    assert why in line


def test_cleaning_where_nothing_is_left_does_nothing(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, tmp_path: Path
) -> None:
    (tmp_path / "runtime").rmdir()
    assert main(["--clean"]) == 0
    assert steps.ran == []
