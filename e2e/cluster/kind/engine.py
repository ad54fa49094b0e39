"""The Docker engine that runs the nodes: the machine's, else one that is started for them alone."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from typing import Protocol

from e2e.cluster import leftovers, sysctls
from e2e.cluster.commands import Runner, run
from e2e.cluster.errors import ClusterError
from e2e.cluster.kind import bounded_runc, names
from e2e.cluster.kind.debian_docker import programs
from e2e.cluster.settings import occupied_networks
from e2e.cluster.waiting import tail, wait_until
from e2e.processes.record import boot_id
from e2e.processes.table import ProcessTable
from e2e.progress import phase
from e2e.setup.prerequisites import SEARCH_PATH, docker_answers

NETWORK = "kind"
"""Docker's network of the nodes (kind's convention)."""
_START_TIMEOUT = 60
_GRACE_SECONDS = 30
# systemd raises the last two at its start, in a node as on a machine.
_SYSCTLS = (*sysctls.OF_THE_KUBELET, "fs/file-max", "fs/nr_open")
# Made by Docker where they are missing: kind mounts the first, the second holds a key, the third plugins.
_FOLDERS = ("/lib/modules", "/etc/docker", "/run/docker")


class Engine(Protocol):
    """A Docker engine."""

    own: bool
    """Whether it is there for this cluster alone."""
    environment: Mapping[str, str]
    """What its clients (docker, kind) need in their environment."""

    def up(self) -> None:
        """Have it answer. Raises ClusterError."""

    def down(self) -> None:
        """Stop it and take away what it left on the machine; images stay."""

    @property
    def runs(self) -> bool: ...

    def revive(self) -> bool:
        """Whether it answers, if need be after it was started again because a crash had ended it."""
        ...


class MachineEngine:
    """The engine that answers on this machine; it is somebody else's to start and stop."""

    own = False
    environment: Mapping[str, str] = {"KIND_EXPERIMENTAL_PROVIDER": "docker"}

    def up(self) -> None:
        if not docker_answers():
            raise ClusterError("the Docker engine that the cluster was made with does not answer")

    def down(self) -> None:
        pass

    @property
    def runs(self) -> bool:
        return docker_answers()

    def revive(self) -> bool:
        return self.runs


@dataclass(frozen=True)
class Places:
    """Where an engine of our own keeps its things."""

    folder: Path
    """Programs, images and containers."""
    runtime: Path
    """Sockets, mounts and process records."""

    @property
    def socket(self) -> Path:
        return self.runtime / "docker.sock"

    @property
    def data(self) -> Path:
        return self.folder / "docker"

    @property
    def log(self) -> Path:
        return self.folder / "logs" / "dockerd.log"


def places() -> Places:
    """Those of this checkout's engine. Sockets are directly below /run, as their paths must be short."""
    return Places(names.FOLDER, Path("/run") / names.engine_name())


class OwnEngine:
    """An engine from Debian's package: its own folders, socket, network and cgroup, and no packet filter rule."""

    own = True

    def __init__(self, where: Places | None = None, runner: Runner | None = None) -> None:
        self._where = where or places()
        self._cgroup = self._where.runtime.name
        # A link's name has at most fifteen letters.
        self._bridge = f"psk-{self._cgroup.rpartition('-')[2]}"
        self._table = ProcessTable(self._where.runtime / "processes")
        self._programs = self._where.folder / "engine"
        path = os.pathsep.join([*(str(self._programs / one) for one in ("usr/sbin", "usr/bin")), SEARCH_PATH])
        self.environment: Mapping[str, str] = {
            "KIND_EXPERIMENTAL_PROVIDER": "docker",
            "DOCKER_HOST": f"unix://{self._where.socket}",
            "PATH": path,
        }
        self._run = runner or partial(run, environment=self.environment)

    @property
    def runs(self) -> bool:
        return self._table.running("dockerd") is not None and not self._silent()

    def up(self) -> None:
        """Start it unless it answers. Raises ClusterError with the end of its log."""
        if self.runs:
            return
        if os.geteuid() != 0:
            raise ClusterError("no Docker engine answers, and starting one needs root")
        programs(self._programs, self._run)
        with phase("Docker engine"):
            self._clear()
            try:
                self._note_machine()
                self._start()
                self._make_network()
            except ClusterError:
                self._clear()
                raise

    def down(self) -> None:
        """Stop it, and take away every process, mount, link, cgroup and setting that it or its containers left."""
        if not self._where.runtime.exists():
            return
        with phase("stopping the Docker engine"):
            if self.runs:
                # The next one takes a network that is free then. A node that is left over holds on to it.
                with suppress(ClusterError):
                    self._run(["docker", "network", "rm", NETWORK])
            self._clear()

    def revive(self) -> bool:
        if self._where.runtime.exists():
            with suppress(ClusterError):
                self.up()
        return self.runs

    def _start(self) -> None:
        configuration = self._where.runtime / "daemon.json"
        configuration.write_text(json.dumps(daemon_configuration(Path("/proc/self/status").read_text()), indent=2))
        command = ["dockerd", f"--config-file={configuration}", f"--host=unix://{self._where.socket}"]
        command += [f"--data-root={self._where.data}", f"--exec-root={self._where.runtime / 'docker'}"]
        command += [f"--pidfile={self._where.runtime / 'dockerd.pid'}", f"--cgroup-parent=/{self._cgroup}"]
        # Nothing of the machine's network is changed but one bridge; the nodes need no way out.
        command += ["--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--bridge=none"]
        command += ["--exec-opt=native.cgroupdriver=cgroupfs"]
        environment = {**os.environ, **self.environment}
        environment.pop("DOCKER_HOST")
        command[0] = str(self._programs / "usr/sbin/dockerd")
        log = self._where.log
        log.unlink(missing_ok=True)
        self._table.start("dockerd", command, log=log, environment=environment, folder=self._where.runtime)

        def ended() -> str:
            return "" if self._table.running("dockerd") else "it ended"

        try:
            wait_until(self._silent, what="Docker engine", timeout=_START_TIMEOUT, give_up=ended)
        except ClusterError as error:
            raise ClusterError(f"{error}\n{tail([log])}") from error

    def _silent(self) -> str:
        """Empty if the engine answers, else what happened."""
        try:
            self._run(["docker", "version", "--format={{.Server.Version}}"], timeout=20)
        except ClusterError as error:
            return str(error)
        return ""

    def _make_network(self) -> None:
        """Make the nodes' network before kind does: where no route of this machine leads, on a link of a known name."""
        if NETWORK in self._run(["docker", "network", "ls", "--format={{.Name}}"]).split():
            return  # of a cluster that a crash left; its nodes have addresses there
        subnet = free_network(occupied_networks(run))
        options = [f"--opt=com.docker.network.bridge.name={self._bridge}", f"--subnet={subnet}"]
        self._run(["docker", "network", "create", "--driver=bridge", *options, NETWORK])

    def _note_machine(self) -> None:
        runtime = self._where.runtime
        runtime.mkdir(parents=True, exist_ok=True, mode=0o711)
        note = {
            "boot": boot_id(),
            "sysctls": sysctls.originals(_SYSCTLS, runtime),
            "absent": [folder for folder in _FOLDERS if not Path(folder).exists()],
        }
        (runtime / sysctls.NOTE).write_text(json.dumps(note, indent=2))

    def _clear(self) -> None:
        """End what runs, in an orderly way where that works, and remove what is left."""
        where = self._where
        self._table.stop("dockerd", grace_seconds=_GRACE_SECONDS)
        leftovers.end_containers(where.runtime / "docker/containerd/containerd.sock", self._cgroup)
        leftovers.remove_shim_sockets(where.runtime / "docker/containerd/daemon")
        leftovers.unmount([where.runtime, where.data], run)
        if (Path("/sys/class/net") / self._bridge).exists():
            run(["ip", "link", "delete", self._bridge])
        self._restore_machine()
        leftovers.remove_tree(where.runtime)

    def _restore_machine(self) -> None:
        try:
            note = json.loads((self._where.runtime / sysctls.NOTE).read_text())
        except (FileNotFoundError, ValueError):
            return
        if note["boot"] == boot_id():
            sysctls.restore(note["sysctls"], self._where.runtime)
        for folder in note["absent"]:
            remove_if_docker_made_it(Path(folder))


def remove_if_docker_made_it(folder: Path) -> None:
    """Remove the folder if it holds nothing but what Docker puts there."""
    (folder / "key.json").unlink(missing_ok=True)
    leftovers.remove_if_empty([str(folder / "plugins"), str(folder)])


def daemon_configuration(status: str) -> dict[str, object]:
    """dockerd's configuration, on a machine whose /proc/self/status this is."""
    # A node looks up the machine's name at its start: an answer, even a refusal, is needed at once.
    configuration: dict[str, object] = {"dns": ["127.0.0.1"]}
    if bounded_runc.lacking(status):
        wrapper = {"path": sys.executable, "runtimeArgs": ["-I", bounded_runc.__file__]}
        configuration |= {"runtimes": {"bounded": wrapper}, "default-runtime": "bounded"}
    return configuration


def free_network(occupied: Sequence[IPv4Network], among: str = names.NODE_NETWORKS) -> IPv4Network:
    """The first /24 that no route of the machine touches. Raises ClusterError."""
    for candidate in IPv4Network(among).subnets(new_prefix=24):
        if not any(candidate.overlaps(network) for network in occupied):
            return candidate
    raise ClusterError(f"no network for the nodes: the machine's routes cover {among}")


def choose() -> Engine:
    """The engine that this checkout started, if it did; else the machine's, if one answers; else one to be started."""
    return MachineEngine() if not places().runtime.exists() and docker_answers() else OwnEngine()
