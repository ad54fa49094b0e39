import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from e2e.setup.toolchain import build, tools
from e2e.setup.toolchain.build import ContainerGo, HostGo, ToolchainError
from e2e.setup.toolchain.tools import Tool


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(build, "BIN", tmp_path / "bin")
    monkeypatch.setattr(build, "LOCAL", tmp_path)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "main.go").write_text('package main\n\nfunc main() { println("one") }\n')
    (tmp_path / "source" / "go.mod").write_text("module example.org/tool\n\ngo 1.22\n")
    return tmp_path


def test_the_release_of_go_is_read() -> None:
    assert build.go_version("go version go1.26.8 linux/amd64") == (1, 26)
    assert build.go_version("go version devel +abc") is None


def test_a_tool_is_built_when_missing_and_when_its_source_changes(folders: Path) -> None:
    tool = Tool("tool", source=folders / "source", links=("alias",))
    assert build.ensure([tool]) == ["tool"]
    shown = subprocess.run([folders / "bin" / "alias"], capture_output=True, text=True, check=True)
    assert shown.stderr == "one\n"
    assert build.ensure([tool]) == []
    (folders / "source" / "main.go").write_text('package main\n\nfunc main() { println("two") }\n')
    assert build.ensure([tool]) == ["tool"]
    (folders / "bin" / "alias").unlink()
    assert build.ensure([tool]) == ["tool"]
    assert build.ensure([replace(tool, ldflags="-s")]) == ["tool"]


def test_the_users_go_settings_do_not_matter(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOTOOLCHAIN", "go1.1")
    monkeypatch.setenv("GOFLAGS", "-mod=vendor")
    assert build.ensure([Tool("tool", source=folders / "source")]) == ["tool"]


def test_a_failed_build_shows_why_and_leaves_the_old_program(folders: Path) -> None:
    tool = Tool("tool", source=folders / "source")
    build.ensure([tool])
    (folders / "source" / "main.go").write_text("package main\n\nfunc main() { missing() }\n")
    with pytest.raises(ToolchainError, match="undefined: missing"):
        build.ensure([tool])
    assert subprocess.run([folders / "bin" / "tool"], check=True).returncode == 0
    assert build.stale(tool)
    assert [path.name for path in (folders / "bin").iterdir() if path.name.endswith(".new")] == []


def _no_go(monkeypatch: pytest.MonkeyPatch, *, docker: bool) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    monkeypatch.setattr(build, "docker_answers", lambda: docker)


def test_without_go_and_docker_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    _no_go(monkeypatch, docker=False)
    with pytest.raises(ToolchainError, match=r"Go 1\.26 or later is needed .*no go command.*Install Go"):
        build.find_go()


def test_an_old_go_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "go"
    old.write_text("#!/bin/sh\necho go version go1.25.3 linux/amd64\n")
    old.chmod(0o755)
    monkeypatch.setattr("shutil.which", lambda *_, **__: str(old))
    monkeypatch.setattr(build, "docker_answers", lambda: False)
    with pytest.raises(ToolchainError, match=r"go1\.25\.3"):
        build.find_go()


def test_with_docker_alone_go_runs_in_a_container(monkeypatch: pytest.MonkeyPatch, folders: Path) -> None:
    _no_go(monkeypatch, docker=True)
    go = build.find_go()
    assert isinstance(go, ContainerGo)
    tool = Tool("tool", source=folders / "source")
    command, _ = go.command(build.arguments_of(tool), folder=folders / "source", output=folders / "out")
    assert command[:3] == ["docker", "run", "--rm"]
    assert f"--volume={folders / 'source'}:/src:ro" in command
    assert command[command.index("-o") + 1] == "/out/tool"
    assert "--env=CGO_ENABLED=0" in command


def test_a_published_module_is_installed_at_its_version() -> None:
    helm = tools.named("helm", "local")
    arguments = build.arguments_of(helm)
    assert arguments[0] == "install"
    assert arguments[-1] == "helm.sh/helm/v3/cmd/helm@v3.22.0"
    _, environment = HostGo("go").command(arguments, folder=Path("/"), output=Path("/out"))
    assert environment["GOBIN"] == "/out"


def test_each_provider_gets_a_kubectl() -> None:
    assert tools.named("kubectl", "local").name == "kube"
    assert tools.named("kubectl", "kind").name == "kubectl"
    assert "kubectl" in {name for tool in tools.for_provider("local") for name in (tool.name, *tool.links)}
    assert "kubectl" in {tool.name for tool in tools.for_provider("kind")}


def test_the_simulator_is_built_on_request_only() -> None:
    assert "kwok" not in {tool.name for provider in ("kind", "local") for tool in tools.for_provider(provider)}
    assert tools.named("kwok", "local").module.endswith("@v0.8.0")


def test_versions_agree_with_the_go_module() -> None:
    source = tools.named("kube", "local").source
    assert source is not None
    assert f"k8s.io/kubernetes v{tools.KUBERNETES}\n" in (source / "go.mod").read_text()
