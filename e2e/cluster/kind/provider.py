"""The cluster that kind makes."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from e2e import layout
from e2e.cluster.archives import ArchivedImage, images_in
from e2e.cluster.commands import Runner, run
from e2e.cluster.errors import ClusterError
from e2e.cluster.images import lacking, parse_listing, pin
from e2e.cluster.kind.config import NODE_VOLUMES, config
from e2e.cluster.kind.engine import Engine, choose
from e2e.cluster.kind.names import FOLDER, cluster_name, node_names, worker_names
from e2e.cluster.kind.node_image import ensure_node_image
from e2e.cluster.leftovers import remove_tree
from e2e.cluster.provider import ClusterStatus, ComponentStatus
from e2e.cluster.storage import ensure_storage
from e2e.cluster.waiting import exclusive_change, wait_until
from e2e.progress import phase
from plato_sas.api import Document

_CREATE_TIMEOUT = 600
_READY_TIMEOUT = 120
_STOP_SECONDS = 10
# Where packets pass a node's link, its pods' included.
_DROPS = (
    ("INPUT", "--in-interface"),
    ("OUTPUT", "--out-interface"),
    ("FORWARD", "--in-interface"),
    ("FORWARD", "--out-interface"),
)


class KindCluster:
    """A control plane and workers, in a Docker container each."""

    name = "kind"

    def __init__(
        self,
        runner: Runner | None = None,
        *,
        engine: Engine | None = None,
        cluster: str | None = None,
        kubeconfig: Path = layout.KUBECONFIG,
        volumes: Path = layout.VOLUMES,
        binaries: Path = layout.BIN,
        folder: Path = FOLDER,
    ) -> None:
        self._cluster = cluster or cluster_name()
        self._engine = engine or choose()
        self._run = runner or partial(run, environment=self._engine.environment)
        self._kubeconfig, self._volumes, self._binaries = kubeconfig, volumes, binaries
        self._folder = folder
        # The engine's: two clusters of one checkout share it.
        self._lock = folder / "lock"

    @property
    def nodes(self) -> list[str]:
        """The names of the nodes and of their containers, the control plane first."""
        return node_names(self._cluster)

    @property
    def workers(self) -> list[str]:
        """The nodes that pods run on."""
        return worker_names(self._cluster)

    def _kind(self, *arguments: str, stdin: str = "", timeout: float = 120) -> str:
        return self._run([str(self._binaries / "kind"), *arguments], stdin=stdin, timeout=timeout)

    # --- the whole cluster ---

    def up(self, *, replace: bool = False) -> None:  # noqa: ARG002
        """Make the cluster, or start its stopped nodes, and wait until all are ready. Raises ClusterError.

        `replace` has nothing to do here: clusters of several checkouts do not disturb each other.
        """
        with exclusive_change(self._lock):
            self._volumes.mkdir(parents=True, exist_ok=True)
            self._engine.up()
            if not self._resume():
                self._create()
            with phase("nodes"):
                wait_until(self._unready, what="nodes", timeout=_READY_TIMEOUT)
            with phase("namespace and volumes"):
                ensure_storage(self)

    def _exists(self) -> bool:
        return self._cluster in self._kind("get", "clusters").split()

    def _resume(self) -> bool:
        """Whether the cluster is there and answers, if need be after its containers were started."""
        if not self._exists():
            return False
        with phase(f"kind cluster {self._cluster}"):
            try:
                self._run(["docker", "start", *self.nodes], timeout=120)
                self._write_kubeconfig()
                wait_until(self._unready, what="nodes", timeout=_READY_TIMEOUT)
            except ClusterError as error:
                print(f"What is left of the last cluster does not start; making a new one.\n{error}")
                self._delete()
                return False
        return True

    def _create(self) -> None:
        image = ensure_node_image(self._run)
        with phase(f"creating the kind cluster {self._cluster}"):
            command = ["create", "cluster", "--name", self._cluster, "--config", "-"]
            command += ["--kubeconfig", str(self._kubeconfig)]
            self._kind(*command, stdin=config(image, self._volumes), timeout=_CREATE_TIMEOUT)
            self._kubeconfig.chmod(0o600)

    def _write_kubeconfig(self) -> None:
        # A restarted container has another port on this machine.
        command = ["export", "kubeconfig", "--name", self._cluster, "--kubeconfig", str(self._kubeconfig)]
        self._kind(*command)
        self._kubeconfig.chmod(0o600)

    def _delete_if_there(self) -> list[str]:
        """Delete the cluster; returns the other ones that the engine runs."""
        if not (self._binaries / "kind").exists() or not self._engine.revive():
            return []
        if self._exists():
            with phase(f"deleting the kind cluster {self._cluster}"):
                self._delete()
        return self._kind("get", "clusters").split()

    def _delete(self) -> None:
        self._kind("delete", "cluster", "--name", self._cluster, "--kubeconfig", str(self._kubeconfig), timeout=300)

    def _unready(self) -> str:
        try:
            found: list[Document] = json.loads(self.kubectl(["get", "nodes", "--output=json"], timeout=10))["items"]
        except (ClusterError, ValueError) as error:
            return str(error)
        ready = {one["metadata"]["name"] for one in found if _is_ready(one)}
        return ", ".join(f"{node} is not ready" for node in self.nodes if node not in ready)

    def down(self, *, purge: bool = False) -> None:
        """Delete the cluster and stop an engine that was started for it; with `purge` also the volumes and images."""
        with exclusive_change(self._lock):
            others = self._delete_if_there()
            self._kubeconfig.unlink(missing_ok=True)
            if not others:
                self._engine.down()
            if purge:
                remove_tree(self._volumes)
                if not others:
                    remove_tree(self._folder)

    # --- single nodes ---

    def stop_node(self, name: str) -> None:
        """Have a node go as a machine that is switched off."""
        self._run(["docker", "stop", f"--time={_STOP_SECONDS}", name], timeout=_STOP_SECONDS + 60)

    def start_node(self, name: str) -> None:
        """Bring a stopped node back."""
        self._run(["docker", "start", name])

    def cut_off(self, name: str) -> None:
        """Let no packet of a node's or of its pods' through to the others, or back. Its volumes stay."""
        for chain, side in _DROPS:
            self._run(["docker", "exec", name, "iptables", "--insert", chain, side, "eth0", "--jump", "DROP"])

    def reconnect(self, name: str) -> None:
        """End what `cut_off` began."""
        for chain, side in _DROPS:
            self._run(["docker", "exec", name, "iptables", "--delete", chain, side, "eth0", "--jump", "DROP"])

    # --- images, folders, state ---

    def load(self, archives: Sequence[Path]) -> dict[ArchivedImage, bool]:
        """Bring the images of OCI archives to every worker; True for one that was new to any. Raises ClusterError."""
        present = self._images()
        loaded: dict[ArchivedImage, bool] = {}
        for archive in archives:
            images = images_in(archive)
            new = lacking(images, present)
            if new:
                command = ["load", "image-archive", "--name", self._cluster, "--nodes", ",".join(self.workers)]
                self._kind(*command, str(archive), timeout=600)
                for node in self.workers:
                    pin(_ctr(node), new, self._run)
            loaded.update({image: image in new for image in images})
        if not loaded:
            raise ClusterError("no archive to load")
        return loaded

    def _images(self) -> dict[str, str]:
        """The images that every worker has (no pod of anybody's runs on the control plane): full name to digest."""
        with ThreadPoolExecutor() as pool:
            listings = pool.map(lambda node: parse_listing(self._run([*_ctr(node), "images", "ls"])), self.workers)
        first, *others = listings
        return {name: digest for name, digest in first.items() if all(one.get(name) == digest for one in others)}

    def node_path(self, path: Path) -> Path:
        """Where the nodes see a folder of this machine. Raises ClusterError if it is not among the volumes."""
        volumes = self._volumes.resolve()
        if not path.resolve().is_relative_to(volumes):
            raise ClusterError(f"{path}: a kind node sees only folders in {volumes}")
        return Path(NODE_VOLUMES) / path.resolve().relative_to(volumes)

    def kubectl(self, arguments: Sequence[str], *, stdin: str = "", timeout: float = 60) -> str:
        """Run kubectl against this cluster; returns its output. Raises ClusterError."""
        command = [str(self._binaries / "kubectl"), f"--kubeconfig={self._kubeconfig}", *arguments]
        return self._run(command, stdin=stdin, timeout=timeout)

    def status(self) -> ClusterStatus:
        """What runs, and whether it is healthy."""
        if not self._engine.runs or not self._exists():
            return ClusterStatus(self.name, "", node="there is no cluster")
        containers = [_container(found) for found in json.loads(self._run(["docker", "inspect", *self.nodes]))]
        stopped = [one.name for one in containers if one.health]
        server = self.kubectl(["config", "view", "--output=jsonpath={.clusters[0].cluster.server}"])
        return ClusterStatus(
            self.name,
            server,
            containers,
            node=f"{', '.join(stopped)}: no container runs" if stopped else self._unready(),
            images=[] if stopped else sorted(self._images()),
        )


def _ctr(node: str) -> list[str]:
    return ["docker", "exec", node, "ctr", "--namespace=k8s.io"]


def _is_ready(node: Mapping[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _container(found: Mapping[str, Any]) -> ComponentStatus:
    """A node's line of the status table, from `docker inspect`."""
    state, uptime = found["State"], None
    if state["Running"]:
        started = datetime.strptime(state["StartedAt"][:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
        uptime = (datetime.now(UTC) - started).total_seconds()
    health = "" if state["Running"] else f"its container is {state['Status']}"
    return ComponentStatus(found["Name"].removeprefix("/"), int(state["Pid"]) or None, uptime, "", health)
