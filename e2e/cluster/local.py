"""The cluster of the components themselves, as processes of this machine."""

import errno
import hashlib
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from e2e import layout
from e2e.cluster import leftovers, machine, node_config, pki
from e2e.cluster import settings as names
from e2e.cluster.archives import ArchivedImage, write_program_image
from e2e.cluster.commands import Runner, run
from e2e.cluster.components import Component, components
from e2e.cluster.errors import ClusterError, ComponentEnded
from e2e.cluster.images import load, on_node
from e2e.cluster.probes import node_ready
from e2e.cluster.provider import ClusterStatus, ComponentStatus
from e2e.cluster.settings import Settings
from e2e.cluster.storage import ensure_storage, storage_template
from e2e.cluster.waiting import exclusive_change, tail, wait_until
from e2e.processes.record import boot_id
from e2e.processes.table import ProcessTable, end, find
from e2e.progress import phase
from e2e.setup.prerequisites import SEARCH_PATH

_READY_TIMEOUT = 90
_HUNG_TIMEOUT = 10
_STATEFUL = ("etcd", "containerd")
_SERVER = "kube-apiserver"
_TAKE_OVER = "Stop it there (make down), or take its place: python -m e2e.cluster up --replace"


def _settings() -> Settings:
    """The settings of the cluster that is there, else of a new one."""
    note = machine.read_note(names.RUNTIME)
    if note is not None and note.state == layout.CLUSTER and note.current:
        return Settings(note.address)
    return Settings(names.free_address(names.occupied_networks(run)))


class LocalCluster:
    """The local cluster, and its single components for tests of what happens when one fails."""

    name = "local"

    def __init__(self, settings: Settings | None = None, runner: Runner = run) -> None:
        self.settings = settings or _settings()
        self._run = runner
        self._table = ProcessTable(self.settings.runtime / "processes")
        self._components = {component.name: component for component in components(self.settings)}

    # --- single components ---

    @property
    def components(self) -> list[str]:
        """The names of the components, in the order of starting."""
        return list(self._components)

    def _component(self, name: str) -> Component:
        if name not in self._components:
            raise ClusterError(f"no component is named {name!r}; there are {', '.join(self._components)}")
        return self._components[name]

    def pid(self, name: str) -> int | None:
        """The running component's process, or None."""
        record = self._table.running(self._component(name).name)
        return record.pid if record else None

    def start(self, name: str, *, wait: bool = True) -> None:
        """Start a component unless it runs, and wait until it is ready. Raises ClusterError with its log's end."""
        component = self._component(name)
        self._require_own()
        if self._table.running(name) is None:
            self._end_unrecorded(component)
            self._check_ports(component)
            if name == "kubelet":
                leftovers.make_cgroups()
            environment = {"PATH": SEARCH_PATH, "HOME": str(self.settings.state)}
            log = self.settings.logs / f"{name}.log"
            self._table.start(name, component.command, log=log, environment=environment, folder=self.settings.state)
        if wait:
            self.wait_ready(name)

    def stop(self, name: str) -> None:
        """End a component in an orderly way (SIGTERM, after a while SIGKILL) and wait until it is gone."""
        component = self._component(name)
        self._table.stop(name, grace_seconds=component.grace_seconds)

    def kill(self, name: str) -> None:
        """End a component with SIGKILL and wait until it is gone."""
        self._table.stop(self._component(name).name, grace_seconds=30, first=signal.SIGKILL)

    def restart(self, name: str) -> None:
        """Stop and start a component, and wait until it is ready."""
        self.stop(name)
        self.start(name)

    def wait_ready(self, name: str, *, timeout: float = _READY_TIMEOUT) -> None:
        """Wait until a component is ready; for the kubelet, until its node is. Raises ClusterError."""
        component = self._component(name)
        log = self.settings.logs / f"{name}.log"

        def ended() -> str:
            return "" if self._table.running(name) else "it ended"

        try:
            wait_until(component.ready, what=name, timeout=timeout, give_up=ended)
            record = self._table.running(name)
            if name == "kubelet" and record is not None:
                since = record.started_at
                wait_until(lambda: node_ready(self.settings, since=since), what="node", timeout=timeout, give_up=ended)
        except ClusterError as error:
            message = f"{error}\n{tail([log])}"
            if ended():
                raise ComponentEnded(name, message) from error
            raise ClusterError(message) from error

    @staticmethod
    def _end_unrecorded(component: Component) -> None:
        """End processes of a run that was killed before it could record them."""
        for stray in find(component.command):
            end(stray, grace_seconds=component.grace_seconds)

    def _check_ports(self, component: Component) -> None:
        """Raises ClusterError if a port that the component needs is taken."""
        for address, port in component.listens:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((address, port))
                except OSError as error:
                    if error.errno == errno.EADDRNOTAVAIL:  # the node's address is not assigned yet
                        continue
                    raise ClusterError(
                        f"{component.name} needs {address}:{port}: {error.strerror}. Another process has it, perhaps "
                        f"another Kubernetes; see: ss -ltnp 'sport = :{port}'"
                    ) from error

    # --- the whole cluster ---

    def up(self, *, replace: bool = False) -> None:
        """Make the cluster, or bring back what is missing of it, and wait until it is ready. Raises ClusterError."""
        self._check_machine()
        with exclusive_change(names.LOCK):
            self._up(replace)

    def _up(self, replace: bool) -> None:
        self._make_way(replace)
        fresh = not self._resumable()
        if fresh:
            self._make()
        machine.prepare(self.settings, self._run)
        try:
            self._start_all()
        except ComponentEnded as error:
            if fresh or error.component not in _STATEFUL:
                raise
            # What a crash left in etcd's or containerd's own files cannot be mended; a test cluster can be made anew.
            print(f"What is left of the last cluster does not start; making a new one.\n{error}", file=sys.stderr)
            self._clean(self.settings)
            self._make()
            machine.prepare(self.settings, self._run)
            self._start_all()
        with phase("namespace and volumes"):
            ensure_storage(self)

    def down(self, *, purge: bool = False) -> None:
        """Stop everything and remove the state; the logs stay. With `purge` the logs and the volumes go too."""
        self._require_root()
        with exclusive_change(names.LOCK):
            self._down(purge)

    def _down(self, purge: bool) -> None:
        if (note := self._other()) is not None:
            print(f"{self._held(note)}; it is left alone", file=sys.stderr)
        else:
            self._clean(self.settings)
        if purge:
            leftovers.remove_tree(self.settings.state)
            leftovers.remove_tree(layout.VOLUMES)

    def load(self, archives: Sequence[Path]) -> dict[ArchivedImage, bool]:
        """Bring the images of OCI archives to the node; True for one that was new to it. Raises ClusterError."""
        self._require_own()
        if self._table.running("containerd") is None:
            raise ClusterError("the cluster is not up: python -m e2e.cluster up")
        return load(self.settings, archives, self._run)

    def node_path(self, path: Path) -> Path:
        """The node is this machine: the same path."""
        return path

    def kubectl(self, arguments: Sequence[str], *, stdin: str = "", timeout: float = 60) -> str:
        """Run kubectl against this cluster; returns its output. Raises ClusterError."""
        if not self.settings.kubeconfig.exists():
            raise ClusterError("the cluster is not up: python -m e2e.cluster up")
        command = [str(self.settings.binaries / "kubectl"), f"--kubeconfig={self.settings.kubeconfig}"]
        return self._run([*command, *arguments], stdin=stdin, timeout=timeout)

    def status(self) -> ClusterStatus:
        """What runs, and whether it is healthy."""
        if (note := self._other()) is not None:
            return ClusterStatus(self.name, "", node=f"{self._held(note)}. {_TAKE_OVER}")
        if not self._is_set_up():
            return ClusterStatus(self.name, "", node="no cluster is set up here: python -m e2e.cluster up")
        with ThreadPoolExecutor() as pool:
            lines = list(pool.map(self._status_of, self._components.values()))
        apiserver = next(line for line in lines if line.name == _SERVER)
        containerd = next(line for line in lines if line.name == "containerd")
        return ClusterStatus(
            provider=self.name,
            server=self.settings.server,
            components=lines,
            node=node_ready(self.settings) if not apiserver.health else "unknown: the API server does not answer",
            images=sorted(on_node(self.settings, self._run)) if not containerd.health else [],
        )

    def _is_set_up(self) -> bool:
        """Whether a cluster was made and not removed since, or any component of one runs."""
        return self._made.exists() or any(self._table.running(name) for name in self._components)

    def _status_of(self, component: Component) -> ComponentStatus:
        record = self._table.running(component.name)
        ports = ", ".join(f"{address}:{port}" for address, port in component.listens)
        if record is None:
            return ComponentStatus(component.name, None, None, ports, "not running")
        return ComponentStatus(component.name, record.pid, record.uptime_seconds, ports, component.ready())

    # --- making, starting, cleaning ---

    @staticmethod
    def _require_root() -> None:
        if os.geteuid() != 0:
            raise ClusterError("the local cluster needs root: it makes network namespaces, mounts and cgroups")

    def _other(self) -> machine.MachineNote | None:
        """The note of another checkout's cluster, if that is what this machine has."""
        note = machine.read_note(self.settings.runtime)
        return note if note is not None and note.state != self.settings.state else None

    def _require_own(self) -> None:
        if (note := self._other()) is not None:
            raise ClusterError(f"{self._held(note)}. {_TAKE_OVER}")

    def _held(self, note: machine.MachineNote) -> str:
        """Which checkout has the machine, and the process to look for."""
        record = self._table.running(_SERVER)
        process = f"{_SERVER} is pid {record.pid}" if record else f"{_SERVER} does not run"
        return f"this machine can hold one local cluster, and checkout {note.checkout} has it ({note.state}; {process})"

    def _check_machine(self) -> None:
        self._require_root()
        missing = [c.command[0] for c in self._components.values() if not shutil.which(c.command[0], path=SEARCH_PATH)]
        missing += [] if (self.settings.binaries / "pause").exists() else ["pause"]
        if missing:
            raise ClusterError(f"missing: {', '.join(missing)}; run make cluster")

    def _make_way(self, replace: bool) -> None:
        """Remove what another checkout left behind. Raises ClusterError if its cluster is in use."""
        note = self._other()
        if note is None:
            return
        other = Settings(note.address, state=note.state, kubeconfig=note.state.parent / "kubeconfig")
        in_use = note.current and note.state.exists() and LocalCluster(other, self._run).status().up
        if in_use and not replace:
            raise ClusterError(f"{self._held(note)}. {_TAKE_OVER}")
        with phase(f"removing the cluster of {note.state}"):
            self._clean(other)

    def _recipe(self) -> str:
        """A digest of how the cluster is made: one made in another way is not resumed."""
        commands = [component.command for component in self._components.values()]
        configs: list[Any] = [
            node_config.containerd(self.settings, node_config.cni_folder()),
            node_config.cni_network(self.settings),
            node_config.kubelet(self.settings),
            node_config.kube_proxy(self.settings),
            storage_template(),  # a claim's access modes, for one, can never be changed
        ]
        stamp = self.settings.binaries / ".stamps" / "kube"
        built = stamp.read_text() if stamp.exists() else ""
        return hashlib.sha256(json.dumps([commands, configs, built]).encode()).hexdigest()

    @property
    def _made(self) -> Path:
        return self.settings.state / "cluster.json"

    def _resumable(self) -> bool:
        """Whether a whole cluster was made, in this way, and since the last start of the machine."""
        try:
            made = json.loads(self._made.read_text())
        except (FileNotFoundError, ValueError):
            return False
        return (
            bool(made == {"boot": boot_id(), "recipe": self._recipe()})
            and machine.read_note(self.settings.runtime) is not None
        )

    def _make(self) -> None:
        """Make a new cluster's certificates and configuration, over whatever is left of an old one."""
        with phase("certificates and configuration"):
            self._stop_all(self._table)
            # Before anything is cleaned: another Kubernetes on this machine has packet filter chains of the same names.
            for component in self._components.values():
                self._check_ports(component)
            self._clean(self.settings)
            # The kernel removes the links of pods that have just ended a little later.
            wait_until(
                lambda: names.conflict(names.occupied_networks(self._run)), what="the cluster's networks", timeout=20
            )
            shutil.rmtree(self.settings.logs, ignore_errors=True)
            self.settings.state.mkdir(parents=True, exist_ok=True)
            identities = pki.identities(
                node=names.NODE, address=self.settings.address, service_address=names.SERVICE_ADDRESS
            )
            pki.write(self.settings.pki, identities, server=self.settings.server)
            node_config.write(self.settings)
            admin = (self.settings.pki / "admin.kubeconfig").read_bytes()
            self.settings.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
            pki.write_private(self.settings.kubeconfig, admin)
            self._made.write_text(json.dumps({"boot": boot_id(), "recipe": self._recipe()}))

    def _start_all(self) -> None:
        """Start what does not run, in the order of what needs what, and wait for all."""
        waiting = list(self._components.values())
        ready: set[str] = set()
        while waiting:
            wave = [component for component in waiting if ready.issuperset(component.after)]
            with phase(", ".join(component.name for component in wave)):
                for component in wave:
                    self._start_or_replace_hung(component)
                for component in wave:
                    self.wait_ready(component.name)
            if any(component.name == "containerd" for component in wave):
                self._load_pause()
            ready.update(component.name for component in wave)
            waiting = [component for component in waiting if component not in wave]

    def _start_or_replace_hung(self, component: Component) -> None:
        if self._table.running(component.name) is not None:
            try:
                wait_until(component.ready, what=component.name, timeout=_HUNG_TIMEOUT)
            except ClusterError as error:
                print(f"{error}; starting it anew", file=sys.stderr)
                self.kill(component.name)
        self.start(component.name, wait=False)

    def _load_pause(self) -> None:
        archive = self.settings.state / "pause.tar"
        if not archive.exists():
            write_program_image(archive, self.settings.binaries / "pause", reference=names.PAUSE_IMAGE)
        self.load([archive])

    def _stop_all(self, table: ProcessTable) -> None:
        for component in reversed(self._components.values()):
            table.stop(component.name, grace_seconds=component.grace_seconds)
            self._end_unrecorded(component)

    def _clean(self, settings: Settings) -> None:
        """Stop the cluster of `settings`, and remove everything of it but its logs."""
        self._stop_all(ProcessTable(settings.runtime / "processes"))
        leftovers.end_containers(settings.containerd_socket)
        leftovers.unmount([settings.runtime, settings.state], self._run)
        leftovers.remove_chains(self._run)
        leftovers.remove_address_sets(self._run)
        leftovers.remove_scattered_files(settings)
        machine.restore(settings.runtime, self._run)
        settings.kubeconfig.unlink(missing_ok=True)
        for entry in settings.state.iterdir() if settings.state.exists() else ():
            if entry != settings.logs:
                leftovers.remove_tree(entry) if entry.is_dir() else entry.unlink()
        leftovers.remove_tree(settings.runtime)
