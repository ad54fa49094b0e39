"""Names, addresses, ports and folders of the local cluster."""

import ipaddress
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e import layout
from e2e.cluster.commands import Runner
from e2e.cluster.errors import ClusterError

NODE = "plato-sas"
POD_NETWORK = "10.244.0.0/22"
SERVICE_NETWORK = "10.96.0.0/16"
SERVICE_ADDRESS = "10.96.0.1"
NETWORK_NAME = "plato-sas"
CGROUP = "plato-sas"
CONTAINERD_NAMESPACE = "k8s.io"
PAUSE_IMAGE = "localhost/plato-sas/pause:0.1.0"
RUNTIME = Path("/run/plato-sas")
"""What must not outlive a boot: sockets, process records, mounts of containers. Short, as socket paths must be."""
LOCK = Path("/run/plato-sas.lock")
"""The machine's, not the checkout's: it can hold one local cluster."""

# Documentation networks (RFC 5737): no machine on the Internet has these addresses. The first that this machine's own
# network does not use is taken: some virtual machines' private network is one of them, its gateway 192.0.2.1 included.
_ADDRESSES = ("192.0.2.1", "198.51.100.1", "203.0.113.1")


@dataclass(frozen=True)
class Ports:
    """Where each component listens: the API server and the kubelet on the node's address, the others on loopback."""

    apiserver: int = 6443
    kubelet: int = 10250
    etcd: int = 2379
    etcd_peer: int = 2380
    etcd_metrics: int = 2381
    kubelet_health: int = 10248
    proxy_metrics: int = 10249
    proxy_health: int = 10256
    controller_manager: int = 10257
    scheduler: int = 10259
    router_health: int = 20244


@dataclass(frozen=True)
class Settings:
    """One local cluster."""

    address: str
    state: Path = layout.CLUSTER
    runtime: Path = RUNTIME
    binaries: Path = layout.BIN
    kubeconfig: Path = layout.KUBECONFIG
    ports: Ports = Ports()

    @property
    def server(self) -> str:
        return f"https://{self.address}:{self.ports.apiserver}"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def config(self) -> Path:
        return self.state / "config"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def containerd_socket(self) -> Path:
        return self.runtime / "containerd.sock"

    def ctr(self) -> list[str]:
        """The containerd client for this node's images and containers."""
        return ["ctr", "--address", str(self.containerd_socket), "--namespace", CONTAINERD_NAMESPACE]


def free_address(occupied: Iterable[ipaddress.IPv4Network], candidates: Sequence[str] = _ADDRESSES) -> str:
    """The first candidate outside every network of `occupied`. Raises ClusterError."""
    networks = list(occupied)
    for candidate in candidates:
        if not any(ipaddress.IPv4Address(candidate) in network for network in networks):
            return candidate
    raise ClusterError(f"no free address for the node: the machine's own routes cover {', '.join(candidates)}")


def occupied_networks(runner: Runner) -> list[ipaddress.IPv4Network]:
    """The networks, hosts and gateways in this machine's routes, except the loopback's and the default route."""
    networks: list[ipaddress.IPv4Network] = []
    for route in json.loads(runner(["ip", "-json", "-4", "route", "show", "table", "main"]) or "[]"):
        networks += [ipaddress.IPv4Network(route["gateway"])] if "gateway" in route else []
        if route["dst"] != "default":
            networks.append(ipaddress.IPv4Network(route["dst"], strict=False))
    return networks


def conflict(occupied: Iterable[ipaddress.IPv4Network]) -> str:
    """Which of the pods' and the services' networks is in use on this machine; empty: none."""
    for network in occupied:
        for name, own in (("pods", POD_NETWORK), ("services", SERVICE_NETWORK)):
            if network.overlaps(ipaddress.IPv4Network(own)):
                return f"the {name}' network {own} overlaps {network}, which this machine routes already"
    return ""
