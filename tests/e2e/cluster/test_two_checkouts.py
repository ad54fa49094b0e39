"""A machine holds one local cluster: a second checkout learns which checkout has it, and how to take its place."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster.errors import ClusterError
from e2e.cluster.local import LocalCluster
from e2e.cluster.machine import MachineNote
from e2e.cluster.provider import ClusterStatus, ComponentStatus
from e2e.cluster.settings import Settings
from e2e.processes.record import ProcessRecord, boot_id
from e2e.processes.table import ProcessTable
from tests.support.scripted_runner import ScriptedRunner

TAKE_OVER = "Stop it there (make down), or take its place: python -m e2e.cluster up --replace"


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A checkout whose cluster the machine's record names."""
    state = tmp_path / "first" / ".local" / "cluster"
    state.mkdir(parents=True)
    runtime = tmp_path / "run"
    runtime.mkdir()
    note = {"state": str(state), "address": "192.0.2.1", "boot": boot_id(), "sysctls": {}}
    (runtime / "machine.json").write_text(json.dumps(note))
    return tmp_path / "first"


@pytest.fixture
def server(first: Path, tmp_path: Path) -> Iterator[ProcessRecord]:
    """What stands for its API server."""
    table = ProcessTable(tmp_path / "run" / "processes")
    environment = {"PATH": os.environ["PATH"]}
    yield table.start("kube-apiserver", ("sleep", "60"), log=tmp_path / "log", environment=environment, folder=tmp_path)
    table.stop("kube-apiserver", grace_seconds=5)


@pytest.fixture
def second(
    first: Path, tmp_path: Path, runner: ScriptedRunner, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalCluster]:
    """The second checkout's view of the machine. It must clean nothing: the running cluster has the same cgroups."""
    cleaned: list[Settings] = []
    monkeypatch.setattr(LocalCluster, "_clean", lambda _, settings: cleaned.append(settings))
    settings = Settings("192.0.2.1", state=tmp_path / "second" / ".local" / "cluster", runtime=tmp_path / "run")
    yield LocalCluster(settings, runner)
    assert cleaned == []


def test_the_second_names_the_checkout_its_process_and_the_way_to_take_over(
    first: Path, second: LocalCluster, server: ProcessRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy = ComponentStatus("etcd", 1, 1.0, "", "")
    monkeypatch.setattr(LocalCluster, "status", lambda _: ClusterStatus("local", "", [healthy]))
    with pytest.raises(ClusterError) as refused:
        second._make_way(replace=False)
    assert str(refused.value) == (
        f"this machine can hold one local cluster, and checkout {first} has it "
        f"({first / '.local' / 'cluster'}; kube-apiserver is pid {server.pid}). {TAKE_OVER}"
    )


def test_the_second_starts_nothing_and_says_the_same(first: Path, second: LocalCluster, server: ProcessRecord) -> None:
    with pytest.raises(ClusterError, match=rf"checkout {first} has it .*is pid {server.pid}\)\. Stop it there"):
        second.start("etcd")
    assert second.status().node.endswith(TAKE_OVER)


def test_the_seconds_down_leaves_the_first_alone(
    first: Path, second: LocalCluster, server: ProcessRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    second._down(purge=False)
    assert server.alive()
    shown = capsys.readouterr().err
    assert f"checkout {first} has it" in shown
    assert shown.endswith("it is left alone\n")


def test_a_cluster_that_does_not_run_is_said_not_to(second: LocalCluster) -> None:
    assert "kube-apiserver does not run" in second.status().node


@pytest.mark.parametrize(
    ("state", "checkout"),
    [("/a/b/.local/cluster", "/a/b"), ("/a/.local/kind-smoke/cluster", "/a"), ("/mnt/state/cluster", None)],
)
def test_the_checkout_of_a_cluster_is_where_its_local_folder_is(state: str, checkout: str | None) -> None:
    assert MachineNote(Path(state), "192.0.2.1", "", {}).checkout == Path(checkout or state)
