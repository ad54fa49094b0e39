import json
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from e2e.cluster import sysctls
from e2e.cluster.errors import ClusterError
from e2e.cluster.kind import bounded_runc, debian_docker, engine
from e2e.cluster.kind.engine import MachineEngine, OwnEngine, Places
from e2e.processes.record import boot_id
from tests.support.scripted_runner import ScriptedRunner

ALL = "CapBnd:\t000001ffffffffff\n"
NO_RESOURCE = "CapPrm:\t0000000000000000\nCapBnd:\t000001fffeffffff\n"


def test_what_the_bounding_set_lacks_is_named() -> None:
    assert bounded_runc.lacking(ALL) == set()
    assert bounded_runc.lacking(NO_RESOURCE) == {"CAP_SYS_RESOURCE"}


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["--root", "/r", "create", "--bundle", "/b", "id"], "/b/config.json"),
        (["create", "--bundle=/b", "id"], "/b/config.json"),
        (["exec", "-p", "/p.json", "id"], "/p.json"),
        (["delete", "id"], None),
    ],
)
def test_the_specification_is_found_in_runcs_arguments(arguments: list[str], file: str | None) -> None:
    assert bounded_runc.specification(arguments) == (Path(file) if file else None)


@pytest.mark.parametrize(
    "wrap", [lambda process: {"process": process}, lambda process: process], ids=["create", "exec"]
)
def test_a_capability_that_the_machine_lacks_is_not_asked_for(wrap: object) -> None:
    assert callable(wrap)
    asked = {"bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"], "ambient": None}
    found = bounded_runc.bounded(wrap({"capabilities": asked}), {"CAP_SYS_RESOURCE"})
    assert found == wrap({"capabilities": {"bounding": ["CAP_CHOWN"], "ambient": []}})


def test_runc_is_wrapped_only_where_a_capability_is_lacking() -> None:
    assert "default-runtime" not in engine.daemon_configuration(ALL)
    assert engine.daemon_configuration(NO_RESOURCE)["default-runtime"] == "bounded"


def test_the_nodes_network_is_none_of_the_machines() -> None:
    taken = [IPv4Network("172.30.0.0/24"), IPv4Network("172.30.1.7/32")]
    assert engine.free_network(taken) == IPv4Network("172.30.2.0/24")
    with pytest.raises(ClusterError, match="no network for the nodes"):
        engine.free_network([IPv4Network("172.16.0.0/12")])


@pytest.mark.parametrize(("ours", "answers", "own"), [(False, True, False), (False, False, True), (True, True, True)])
def test_the_machines_engine_is_used_unless_this_checkout_has_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ours: bool, answers: bool, own: bool
) -> None:
    runtime = tmp_path / "runtime"
    if ours:
        runtime.mkdir()
    monkeypatch.setattr(engine, "places", lambda: Places(tmp_path, runtime))
    monkeypatch.setattr(engine, "docker_answers", lambda: answers)
    chosen = engine.choose()
    assert isinstance(chosen, OwnEngine if own else MachineEngine)
    assert chosen.own is own


def test_an_engine_that_never_ran_has_nothing_to_stop(tmp_path: Path, runner: ScriptedRunner) -> None:
    OwnEngine(Places(tmp_path, tmp_path / "runtime"), runner).down()
    assert runner.commands == []


def test_a_folder_that_docker_made_goes_and_one_in_use_stays(tmp_path: Path) -> None:
    made, used = tmp_path / "made", tmp_path / "used"
    (made / "plugins").mkdir(parents=True)
    (made / "key.json").touch()
    used.mkdir()
    (used / "daemon.json").touch()
    for folder in (made, used, tmp_path / "absent"):
        engine.remove_if_docker_made_it(folder)
    assert [one.name for one in tmp_path.iterdir()] == ["used"]


def test_dockers_programs_are_taken_from_the_package_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, runner: ScriptedRunner
) -> None:
    monkeypatch.setattr("shutil.which", lambda name, **_: name)
    folder = tmp_path / "engine"

    def download(partial: Path, _: object) -> None:
        (partial / "docker.io_1_amd64.deb").touch()
        (partial / "usr/sbin").mkdir(parents=True)
        (partial / "usr/sbin/dockerd").touch()

    monkeypatch.setattr(debian_docker, "_download", download)
    debian_docker.programs(folder, runner)
    debian_docker.programs(folder, runner)
    assert len(runner.having("--extract")) == 1
    assert [one.name for one in folder.iterdir()] == ["usr"]


def test_what_the_engine_needs_of_the_machine_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, runner: ScriptedRunner
) -> None:
    monkeypatch.setattr("shutil.which", lambda name, **_: None if name == "runc" else name)
    with pytest.raises(ClusterError, match=r"missing: runc; run: CLUSTER=kind python -m e2e\.setup\.prerequisites"):
        debian_docker.programs(tmp_path / "engine", runner)


def test_the_first_note_of_the_machines_settings_stands_until_the_last_cluster_goes(tmp_path: Path) -> None:
    root, first, second = tmp_path / "sys", tmp_path / "plato-sas", tmp_path / "plato-sas-kind-1"
    name = "kernel/panic"
    for folder in (root / "kernel", first, second):
        folder.mkdir(parents=True)
    (root / name).write_text("0")
    _note(first, sysctls.originals([name, "vm/absent"], first, tmp_path, root))
    (root / name).write_text("10")
    _note(second, sysctls.originals([name], second, tmp_path, root))

    sysctls.restore({name: "0"}, first, tmp_path, root)
    assert (root / name).read_text() == "10"  # the second still needs it
    (first / sysctls.NOTE).unlink()
    noted = json.loads((second / sysctls.NOTE).read_text())["sysctls"]
    sysctls.restore(noted, second, tmp_path, root)
    assert (root / name).read_text() == "0"


def test_a_note_of_an_earlier_boot_means_nothing(tmp_path: Path) -> None:
    root, old = tmp_path / "sys", tmp_path / "plato-sas"
    for folder in (root / "kernel", old):
        folder.mkdir(parents=True)
    (root / "kernel/panic").write_text("7")
    _note(old, {"kernel/panic": "1"}, boot="another")
    assert sysctls.originals(["kernel/panic"], tmp_path / "new", tmp_path, root) == {"kernel/panic": "7"}


def _note(runtime: Path, settings: dict[str, str], boot: str | None = None) -> None:
    (runtime / sysctls.NOTE).write_text(json.dumps({"boot": boot or boot_id(), "sysctls": settings}))
