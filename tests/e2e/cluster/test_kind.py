import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from e2e.cluster import kind
from e2e.cluster.archives import images_in, write_program_image
from e2e.cluster.errors import ClusterError
from e2e.cluster.kind import KindCluster
from e2e.cluster.kind.node_image import NodeImage
from tests.support.scripted_runner import ScriptedRunner

NODES = ["c1-control-plane", "c1-worker", "c1-worker2"]
WORKERS = NODES[1:]
READY = json.dumps(
    {
        "items": [
            {"metadata": {"name": n}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}} for n in NODES
        ]
    }
)
NAME = "localhost/plato-sas/it:0.1.0"
BOUND = json.dumps(
    {"items": [{"metadata": {"name": n}, "status": {"phase": "Bound"}} for n in ("sas-inputs", "sas-products")]}
)


class StandingEngine:
    """An engine that notes whether it was asked to start and to stop."""

    own = True
    environment: Mapping[str, str] = {}

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.runs = True

    def revive(self) -> bool:
        return self.runs

    def up(self) -> None:
        self.calls.append("up")

    def down(self) -> None:
        self.calls.append("down")


@pytest.fixture
def engine() -> StandingEngine:
    return StandingEngine()


@pytest.fixture
def cluster(
    runner: ScriptedRunner, engine: StandingEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> KindCluster:
    monkeypatch.setattr("e2e.cluster.kind.provider.ensure_node_image", lambda _: NodeImage("node:1", True))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "kind").touch()
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("")
    runner.answers = {
        ("get", "nodes"): READY,
        ("get", "persistentvolumes"): '{"items": []}',
        ("get", "persistentvolumeclaims"): BOUND,
        ("get", "serviceaccounts"): "serviceaccount/default",
    }
    return KindCluster(
        runner,
        engine=engine,
        cluster="c1",
        kubeconfig=kubeconfig,
        volumes=tmp_path / "volumes",
        binaries=tmp_path / "bin",
        folder=tmp_path / "kind",
    )


def exists(runner: ScriptedRunner) -> None:
    runner.answers[("get", "clusters")] = "c1\n"


def test_a_new_cluster_has_two_workers_that_share_the_volumes(
    cluster: KindCluster, runner: ScriptedRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("e2e.cluster.storage.VOLUMES", tmp_path / "volumes")
    cluster.up()
    (created,) = runner.having("create")
    assert created[:3] == [str(tmp_path / "bin" / "kind"), "create", "cluster"]
    assert created[created.index("--name") + 1] == "c1"
    assert created[created.index("--kubeconfig") + 1] == str(tmp_path / "kubeconfig")
    assert created[created.index("--config") + 1] == "-"
    config = yaml.safe_load(runner.inputs[runner.commands.index(created)])
    assert config["networking"]["apiServerAddress"] == "127.0.0.1"
    assert [node["role"] for node in config["nodes"]] == ["control-plane", "worker", "worker"]
    for node in config["nodes"]:
        (mount,) = node["extraMounts"]
        assert mount == {"hostPath": str(tmp_path / "volumes"), "containerPath": "/var/plato-sas/volumes"}
        assert node["image"] == "node:1"
    applied = runner.inputs[runner.commands.index(runner.having("apply")[0])]
    assert "path: /var/plato-sas/volumes/products," in applied
    assert (tmp_path / "kubeconfig").stat().st_mode & 0o777 == 0o600


def test_a_cluster_that_is_there_is_started_not_created(
    cluster: KindCluster, runner: ScriptedRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("e2e.cluster.storage.VOLUMES", tmp_path / "volumes")
    exists(runner)
    cluster.up()
    assert runner.having("create") == []
    assert runner.having("docker", "start", *NODES)
    assert runner.having("export", "kubeconfig")


def test_a_broken_cluster_is_made_anew(
    cluster: KindCluster, runner: ScriptedRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("e2e.cluster.storage.VOLUMES", tmp_path / "volumes")
    exists(runner)
    runner.answers[("docker", "start")] = ClusterError("No such container: c1-control-plane")
    cluster.up()
    verbs = [command[1] for command in runner.having("cluster", "c1")]
    assert verbs == ["delete", "create"]


def test_loading_gives_the_archive_to_kind_unless_every_worker_has_it(
    cluster: KindCluster, runner: ScriptedRunner, tmp_path: Path
) -> None:
    (tmp_path / "program").write_bytes(b"\x7fELF")
    archive = tmp_path / "it.tar"
    write_program_image(archive, tmp_path / "program", reference=NAME)
    (image,) = images_in(archive)
    assert cluster.load([archive]) == {image: True}
    load = [str(tmp_path / "bin" / "kind"), "load", "image-archive", "--name", "c1", "--nodes", ",".join(WORKERS)]
    assert runner.having("load") == [[*load, str(archive)]]
    listing = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n" + "".join(
        f"{name} t {image.digest} 1 MiB p io.cri-containerd.image=managed\n" for name in (NAME, image.pinned)
    )
    runner.answers[("docker", "exec", WORKERS[0], "ls")] = listing
    assert cluster.load([archive]) == {image: True}
    runner.answers[("docker", "exec", WORKERS[1], "ls")] = listing
    assert cluster.load([archive]) == {image: False}
    assert len(runner.having("load")) == 2


def test_only_folders_among_the_volumes_are_seen_by_the_node(cluster: KindCluster, tmp_path: Path) -> None:
    assert cluster.node_path(tmp_path / "volumes" / "a") == Path("/var/plato-sas/volumes/a")
    with pytest.raises(ClusterError, match="a kind node sees only folders in"):
        cluster.node_path(tmp_path / "volumes" / ".." / "elsewhere")


def test_down_deletes_the_own_cluster_and_keeps_the_products(
    cluster: KindCluster, runner: ScriptedRunner, tmp_path: Path
) -> None:
    (tmp_path / "volumes").mkdir()
    exists(runner)
    cluster.down()
    (deleted,) = runner.having("delete")
    assert deleted[deleted.index("--name") + 1] == "c1"
    assert (tmp_path / "volumes").exists()
    cluster.down(purge=True)
    assert not (tmp_path / "volumes").exists()


def test_down_without_a_cluster_deletes_none(cluster: KindCluster, runner: ScriptedRunner) -> None:
    cluster.down()
    assert runner.having("delete") == []


def test_the_engine_is_started_first_and_stopped_last(
    cluster: KindCluster,
    engine: StandingEngine,
    runner: ScriptedRunner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("e2e.cluster.storage.VOLUMES", tmp_path / "volumes")
    cluster.up()
    cluster.down()
    assert engine.calls == ["up", "down"]


def test_an_engine_that_has_another_cluster_goes_on(
    cluster: KindCluster, engine: StandingEngine, runner: ScriptedRunner, tmp_path: Path
) -> None:
    runner.answers[("get", "clusters")] = "another\n"
    (tmp_path / "kind").mkdir()
    cluster.down(purge=True)
    assert engine.calls == []
    assert (tmp_path / "kind").exists()


def test_an_engine_that_does_not_answer_is_cleared_all_the_same(
    cluster: KindCluster, engine: StandingEngine, runner: ScriptedRunner
) -> None:
    engine.runs = False
    cluster.down()
    assert (runner.commands, engine.calls) == ([], ["down"])


def test_a_node_is_cut_off_and_reconnected_by_the_same_rules(cluster: KindCluster, runner: ScriptedRunner) -> None:
    cluster.cut_off("c1-worker")
    cluster.reconnect("c1-worker")
    added, removed = runner.having("--insert"), runner.having("--delete")
    assert len(added) == 4
    assert [[*command[:4], "--delete", *command[5:]] for command in added] == removed


def test_the_status_of_a_stopped_node_says_so(cluster: KindCluster, runner: ScriptedRunner) -> None:
    exists(runner)
    state = {"Running": False, "Status": "exited", "Pid": 0, "StartedAt": "2026-01-02T03:04:05.678Z"}
    runner.answers[("docker", "inspect")] = json.dumps([{"Name": "/c1-worker", "State": state}])
    status = cluster.status()
    assert not status.up
    assert (status.components[0].name, status.components[0].health) == ("c1-worker", "its container is exited")


def test_checkouts_have_clusters_of_their_own() -> None:
    assert kind.cluster_name(Path("/a")) != kind.cluster_name(Path("/b"))
