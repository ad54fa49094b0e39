"""The cluster that kind makes in a Docker container."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from string import Template

from e2e import layout
from e2e.cluster.archives import ArchivedImage, images_in
from e2e.cluster.commands import Runner, run
from e2e.cluster.errors import ClusterError
from e2e.cluster.images import lacking, parse_listing, pin
from e2e.cluster.provider import ClusterStatus, ComponentStatus
from e2e.cluster.storage import ensure_storage
from e2e.cluster.waiting import exclusive_change, wait_until
from e2e.progress import phase

_CONFIG = Path(__file__).with_name("kind.yaml")
_NODE_VOLUMES = PurePosixPath("/var/plato-sas/volumes")
_CREATE_TIMEOUT = 900  # the node's image, almost 400 MB, is pulled the first time
_READY_TIMEOUT = 120


def cluster_name(repository: Path = layout.REPOSITORY) -> str:
    """A name of this checkout's own: two checkouts have two clusters."""
    return f"plato-sas-{hashlib.sha256(str(repository).encode()).hexdigest()[:6]}"


def config(volumes: Path) -> str:
    """kind's configuration, with `volumes` of this machine mounted into the node."""
    return Template(_CONFIG.read_text()).substitute(volumes=json.dumps(str(volumes)), node_volumes=_NODE_VOLUMES)


class KindCluster:
    """A cluster of one node, in Docker."""

    name = "kind"

    def __init__(
        self,
        runner: Runner = run,
        *,
        cluster: str | None = None,
        kubeconfig: Path = layout.KUBECONFIG,
        volumes: Path = layout.VOLUMES,
        binaries: Path = layout.BIN,
    ) -> None:
        self._run = runner
        self._cluster = cluster or cluster_name()
        self._kubeconfig, self._volumes, self._binaries = kubeconfig, volumes, binaries
        self._lock = kubeconfig.with_name("kind.lock")

    @property
    def node(self) -> str:
        """The name of the node and of its container (kind's convention)."""
        return f"{self._cluster}-control-plane"

    def _kind(self, *arguments: str, stdin: str = "", timeout: float = 120) -> str:
        return self._run([str(self._binaries / "kind"), *arguments], stdin=stdin, timeout=timeout)

    def up(self, *, replace: bool = False) -> None:  # noqa: ARG002
        """Make the cluster, or start its stopped node, and wait until it is ready. Raises ClusterError.

        `replace` has nothing to do here: clusters of several checkouts do not disturb each other.
        """
        with exclusive_change(self._lock):
            self._volumes.mkdir(parents=True, exist_ok=True)
            if not self._resume():
                self._create()
            with phase("node"):
                wait_until(self._unready, what=f"node {self.node}", timeout=_READY_TIMEOUT)
            with phase("namespace and volumes"):
                ensure_storage(self)

    def _resume(self) -> bool:
        """Whether the cluster is there and answers, if need be after its container was started."""
        if self._cluster not in self._kind("get", "clusters").split():
            return False
        with phase(f"kind cluster {self._cluster}"):
            try:
                self._run(["docker", "start", self.node])
                self._write_kubeconfig()
                wait_until(self._unready, what=f"node {self.node}", timeout=_READY_TIMEOUT)
            except ClusterError as error:
                print(f"What is left of the last cluster does not start; making a new one.\n{error}")
                self._delete()
                return False
        return True

    def _create(self) -> None:
        with phase(f"creating the kind cluster {self._cluster}"):
            command = ["create", "cluster", "--name", self._cluster, "--config", "-", "--wait", "180s"]
            command += ["--kubeconfig", str(self._kubeconfig)]
            self._kind(*command, stdin=config(self._volumes), timeout=_CREATE_TIMEOUT)
            self._kubeconfig.chmod(0o600)

    def _write_kubeconfig(self) -> None:
        # A restarted container has another port on this machine.
        command = ["export", "kubeconfig", "--name", self._cluster, "--kubeconfig", str(self._kubeconfig)]
        self._kind(*command)
        self._kubeconfig.chmod(0o600)

    def _delete(self) -> None:
        self._kind("delete", "cluster", "--name", self._cluster, "--kubeconfig", str(self._kubeconfig), timeout=300)

    def _unready(self) -> str:
        try:
            self.kubectl(["get", "--raw=/readyz"], timeout=10)
            ready = '{.status.conditions[?(@.type=="Ready")].status}'
            state = self.kubectl(["get", "node", self.node, f"--output=jsonpath={ready}"], timeout=10)
        except ClusterError as error:
            return str(error)
        return "" if state.strip() == "True" else "not ready"

    def down(self, *, purge: bool = False) -> None:
        """Delete the cluster; with `purge` also the volumes, which hold the products."""
        with exclusive_change(self._lock):
            if self._cluster in self._kind("get", "clusters").split():
                with phase(f"deleting the kind cluster {self._cluster}"):
                    self._delete()
            self._kubeconfig.unlink(missing_ok=True)
            if purge and self._volumes.exists():
                shutil.rmtree(self._volumes)

    def load(self, archives: Sequence[Path]) -> dict[ArchivedImage, bool]:
        """Bring the images of OCI archives to the node; True for one that was new to it. Raises ClusterError."""
        present = self._images()
        loaded: dict[ArchivedImage, bool] = {}
        for archive in archives:
            images = images_in(archive)
            new = lacking(images, present)
            if new:
                self._kind("load", "image-archive", "--name", self._cluster, str(archive), timeout=300)
                pin(self._ctr, new, self._run)
            loaded.update({image: image in new for image in images})
        if not loaded:
            raise ClusterError("no archive to load")
        return loaded

    def _images(self) -> dict[str, str]:
        return parse_listing(self._run([*self._ctr, "images", "ls"]))

    @property
    def _ctr(self) -> list[str]:
        return ["docker", "exec", self.node, "ctr", "--namespace=k8s.io"]

    def node_path(self, path: Path) -> Path:
        """Where the node sees a folder of this machine. Raises ClusterError if it is not among the volumes."""
        volumes = self._volumes.resolve()
        if not path.resolve().is_relative_to(volumes):
            raise ClusterError(f"{path}: a kind node sees only folders in {volumes}")
        return Path(_NODE_VOLUMES) / path.resolve().relative_to(volumes)

    def kubectl(self, arguments: Sequence[str], *, stdin: str = "", timeout: float = 60) -> str:
        """Run kubectl against this cluster; returns its output. Raises ClusterError."""
        command = [str(self._binaries / "kubectl"), f"--kubeconfig={self._kubeconfig}", *arguments]
        return self._run(command, stdin=stdin, timeout=timeout)

    def status(self) -> ClusterStatus:
        """What runs, and whether it is healthy."""
        if self._cluster not in self._kind("get", "clusters").split():
            return ClusterStatus(self.name, "", node="there is no cluster")
        state = json.loads(self._run(["docker", "inspect", self.node]))[0]["State"]
        running = bool(state["Running"])
        uptime = None
        if running:
            started = datetime.strptime(state["StartedAt"][:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
            uptime = (datetime.now(UTC) - started).total_seconds()
        container = ComponentStatus(
            self.node, int(state["Pid"]) or None, uptime, "", "" if running else f"its container is {state['Status']}"
        )
        server = self.kubectl(["config", "view", "--output=jsonpath={.clusters[0].cluster.server}"])
        return ClusterStatus(
            self.name,
            server,
            [container],
            node=self._unready() if running else "its container does not run",
            images=sorted(self._images()) if running else [],
        )
