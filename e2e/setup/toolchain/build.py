"""Build the Go programs that are missing or stale."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from e2e.layout import BIN, LOCAL
from e2e.processes.locking import LockTimeout, exclusive
from e2e.progress import Phase, phase
from e2e.setup.prerequisites import docker_answers
from e2e.setup.toolchain.tools import TOOLS, Tool

MINIMUM_GO = (1, 26)
GO_IMAGE = "docker.io/library/golang:1.26"
BUILD_TIMEOUT_SECONDS = 2700


class ToolchainError(Exception):
    """A program cannot be built; the message says why."""


class Go(Protocol):
    """A way to run the go command."""

    def command(self, arguments: Sequence[str], *, folder: Path, output: Path) -> tuple[list[str], dict[str, str]]:
        """The process (arguments and environment) that runs `go` in `folder`, with `output` to write its results to.

        The string `OUTPUT` in an argument stands for the place of `output`.
        """
        ...

    def path(self, inside: str) -> Path:
        """The path on this machine of a file that the command names."""
        ...


# What the user's own settings must not change: GOTOOLCHAIN may name an older Go than go.mod asks for, GOFLAGS may
# hold -mod=vendor, and GOWORK may be a workspace that these modules are no part of.
_SETTINGS = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}


class HostGo:
    """The go command of this machine."""

    def __init__(self, executable: str) -> None:
        self._executable = executable

    def command(self, arguments: Sequence[str], *, folder: Path, output: Path) -> tuple[list[str], dict[str, str]]:
        environment = {**os.environ, **_SETTINGS, "GOBIN": str(output)}
        command = [self._executable, "-C", str(folder), *(a.replace("OUTPUT", str(output)) for a in arguments)]
        return command, environment

    def path(self, inside: str) -> Path:
        return Path(inside)


class ContainerGo:
    """The go command of the official image, where this machine has a Docker engine and no Go."""

    def command(self, arguments: Sequence[str], *, folder: Path, output: Path) -> tuple[list[str], dict[str, str]]:
        cache = LOCAL / "go"
        cache.mkdir(parents=True, exist_ok=True)
        settings = {**_SETTINGS, "GOBIN": "/out", "GOMODCACHE": "/cache/mod", "GOCACHE": "/cache/build"}
        command = ["docker", "run", "--rm", f"--user={os.getuid()}:{os.getgid()}", "--workdir=/src"]
        command += [f"--volume={folder}:/src:ro", f"--volume={cache}:/cache", f"--volume={output}:/out"]
        command += [f"--env={name}={value}" for name, value in settings.items()]
        return [*command, GO_IMAGE, "go", *(a.replace("OUTPUT", "/out") for a in arguments)], dict(os.environ)

    def path(self, inside: str) -> Path:
        return LOCAL / "go" / Path(inside).relative_to("/cache")


def go_version(text: str) -> tuple[int, int] | None:
    """The release in the output of `go version`: (1, 26)."""
    found = re.search(r"\bgo(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def find_go() -> Go:
    """The Go of this machine, else that of a container. Raises ToolchainError where neither is there."""
    executable = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    said = "there is no go command"
    if executable is not None:
        environment = {**os.environ, **_SETTINGS}
        done = subprocess.run([executable, "version"], capture_output=True, text=True, env=environment, timeout=60)
        said = f"{executable}: {(done.stdout or done.stderr).strip()}"
        version = go_version(done.stdout)
        if version is not None and version >= MINIMUM_GO:
            return HostGo(executable)
    if docker_answers():
        return ContainerGo()
    wanted = ".".join(map(str, MINIMUM_GO))
    raise ToolchainError(
        f"Go {wanted} or later is needed to build the cluster's components ({said}), and no Docker engine answers. "
        f"Install Go (https://go.dev/doc/install), or start a Docker engine."
    )


def _stamp_file(tool: Tool) -> Path:
    return BIN / ".stamps" / tool.name


def stale(tool: Tool) -> bool:
    """Whether the tool's binary is missing, or made from something else than what the tool says now."""
    stamp = _stamp_file(tool)
    there = all((BIN / name).exists() for name in (tool.name, *tool.links))
    return not there or not stamp.exists() or stamp.read_text() != tool.stamp()


def arguments_of(tool: Tool) -> list[str]:
    """The go command's arguments that build the tool into OUTPUT."""
    flags = ["-v", "-trimpath", "-buildvcs=false", f"-ldflags={tool.ldflags}"]
    if tool.source is None:
        return ["install", *flags, tool.module]
    return ["build", *flags, "-mod=readonly", "-o", f"OUTPUT/{tool.name}", tool.package]


def _run(command: Sequence[str], environment: dict[str, str], running: Phase) -> None:
    """Run one build, counting the packages that go reports. Raises ToolchainError with go's last lines."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    watchdog = threading.Timer(BUILD_TIMEOUT_SECONDS, process.kill)
    watchdog.start()
    expected = running.detail
    lines: list[str] = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())
            running.detail = f"{len(lines)} packages" + (f"; {expected}" if expected else "")
        process.wait()
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode != 0:
        tail = "\n".join(lines[-20:])
        raise ToolchainError(f"{running.name}: go ended with {process.returncode}\n{tail}")
    running.detail = ""


def build(tool: Tool, go: Go) -> None:
    """Build one tool, and put it in place whole or not at all."""
    fresh = BIN / f".{tool.name}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        folder = tool.source or fresh
        command, environment = go.command(arguments_of(tool), folder=folder, output=fresh)
        with phase(f"building {tool.name}") as running:
            running.detail = tool.expected
            _run(command, environment, running)
        (fresh / tool.name).replace(BIN / tool.name)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    for link in tool.links:
        partial = BIN / f".{link}.new"
        partial.unlink(missing_ok=True)
        partial.symlink_to(tool.name)
        partial.replace(BIN / link)
    stamp = _stamp_file(tool)
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(tool.stamp())


def ensure(tools: Sequence[Tool]) -> list[str]:
    """Build those of `tools` that are missing or stale; returns their names. Raises ToolchainError."""
    waiting = "waiting for another command that builds programs"
    try:
        with exclusive(BIN / ".lock", timeout=BUILD_TIMEOUT_SECONDS, waiting=waiting):
            wanted = [tool for tool in tools if stale(tool) and not _another_gives(tool)]
            if wanted:
                go = find_go()
                # Linking the large one is work for one core: the others are compiled beside it.
                with ThreadPoolExecutor(2) as pool:
                    for built in [pool.submit(build, tool, go) for tool in wanted]:
                        built.result()
    except LockTimeout as error:
        raise ToolchainError(str(error)) from None
    return [tool.name for tool in wanted]


def _another_gives(tool: Tool) -> bool:
    """Whether a program that is current already has this one's name too: `kube` is kubectl as well."""
    return any(tool.name in other.links and not stale(other) for other in TOOLS)


def module_folder(module: str) -> Path:
    """The files of a published module (path@version), as Go keeps them. Raises ToolchainError."""
    go = find_go()
    with tempfile.TemporaryDirectory() as folder:
        command, environment = go.command(
            ["mod", "download", "-json", module], folder=Path(folder), output=Path(folder)
        )
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    try:
        return go.path(json.loads(done.stdout)["Dir"])
    except (ValueError, KeyError):
        raise ToolchainError(f"{module}: {(done.stderr or done.stdout).strip()}") from None
