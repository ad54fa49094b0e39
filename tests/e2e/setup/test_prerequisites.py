import subprocess
import sys
from pathlib import Path

import pytest

from e2e.layout import REPOSITORY
from e2e.setup import prerequisites
from e2e.setup.prerequisites import Prerequisite, PrerequisiteError

THERE = Prerequisite("there", "x", lambda: True)
LACKING = Prerequisite("lacking", "y", lambda: False)
LOCAL_ONLY = Prerequisite("local-only", "z", lambda: False, "local")
OF_TESTS = Prerequisite("of-tests", "t", lambda: False, tests=True)


def test_only_what_is_missing_for_the_provider_is_named() -> None:
    known = (THERE, LACKING, LOCAL_ONLY, OF_TESTS)
    assert prerequisites.missing("kind", known) == [LACKING]
    assert prerequisites.missing("local", known) == [LACKING, LOCAL_ONLY]
    assert prerequisites.missing("kind", known, tests=True) == [LACKING, OF_TESTS]


def test_a_bare_python_without_any_package_can_run_it() -> None:
    command = [sys.executable, "-S", "-m", "e2e.setup.prerequisites", "--help"]
    done = subprocess.run(command, cwd=REPOSITORY, env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_unknown_provider_is_named() -> None:
    with pytest.raises(PrerequisiteError, match="'k3s' is none of auto, kind, local"):
        prerequisites.chosen_provider("k3s")


@pytest.mark.parametrize(("engine", "provider"), [(True, "kind"), (False, "local")])
def test_auto_is_kind_where_a_docker_engine_answers(
    monkeypatch: pytest.MonkeyPatch, engine: bool, provider: str
) -> None:
    monkeypatch.setattr(prerequisites, "docker_answers", lambda: engine)
    assert prerequisites.chosen_provider("auto") == provider


def test_a_docker_client_without_an_engine_does_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\necho Cannot connect to the Docker daemon >&2\nexit 1\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert not prerequisites.docker_answers()
    client.write_text("#!/bin/sh\necho 28.0.1\n")
    assert prerequisites.docker_answers()


class Apt:
    """A machine whose packages are installed by a scripted apt-get."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int = 0) -> None:
        self.calls: list[list[str]] = []
        self.policy = tmp_path / "policy-rc.d"
        self.databases = tmp_path / "createcluster.d" / "plato-sas.conf"
        self.policy_seen = ""
        self.installed = False

        def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
            self.calls.append(command)
            if "install" in command:
                self.policy_seen = self.policy.read_text()
                assert "create_main_cluster = false" in self.databases.read_text()
                self.installed = code == 0
            return subprocess.CompletedProcess(command, code if "install" in command else 0, "E: no such package\n", "")

        monkeypatch.setattr(prerequisites, "POLICY", self.policy)
        monkeypatch.setattr(prerequisites, "DATABASES", self.databases)
        monkeypatch.setattr("subprocess.run", run)
        monkeypatch.setattr("os.geteuid", lambda: 0)
        monkeypatch.setattr("shutil.which", lambda name, path=None: f"/usr/bin/{name}")
        wanted = Prerequisite("wanted", "w", lambda: self.installed)
        monkeypatch.setattr(prerequisites, "missing", lambda _, tests: [] if wanted.present() else [wanted])


def test_missing_packages_are_installed_without_starting_services(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    apt = Apt(monkeypatch, tmp_path)
    prerequisites.ensure("local")
    assert [call[-1] for call in apt.calls] == ["update", "wanted"]
    assert "exit 101" in apt.policy_seen, "services could have started"
    assert not apt.policy.exists()
    assert not apt.databases.exists()


def test_nothing_is_fetched_where_nothing_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    apt = Apt(monkeypatch, tmp_path)
    apt.installed = True
    prerequisites.ensure("local")
    assert apt.calls == []


def test_a_failing_apt_is_shown_and_leaves_no_policy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    apt = Apt(monkeypatch, tmp_path, code=100)
    with pytest.raises(PrerequisiteError, match="could not install wanted:\nE: no such package"):
        prerequisites.ensure("local")
    assert not apt.policy.exists()


def test_an_administrators_policy_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    apt = Apt(monkeypatch, tmp_path)
    apt.policy.write_text("mine")
    prerequisites.ensure("local")
    assert apt.policy.read_text() == apt.policy_seen == "mine"


def test_who_is_not_root_is_told_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Apt(monkeypatch, tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(PrerequisiteError, match="sudo apt-get install wanted"):
        prerequisites.ensure("local")


def test_check_installs_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apt = Apt(monkeypatch, tmp_path)
    assert prerequisites.main(["--check", "--provider", "local"]) == 1
    assert apt.calls == []
    assert "apt-get install wanted" in capsys.readouterr().err
