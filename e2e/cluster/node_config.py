"""The configuration files of the node's programs."""

import json
from pathlib import Path
from typing import Any

from e2e.cluster import settings as names
from e2e.cluster.errors import ClusterError
from e2e.cluster.settings import Settings

_CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))


def cni_folder() -> Path:
    """Where the CNI plugins are."""
    for folder in _CNI_FOLDERS:
        if (folder / "ptp").exists():
            return folder
    raise ClusterError(f"no CNI plugins in {' or '.join(map(str, _CNI_FOLDERS))}; run make setup")


def containerd(settings: Settings, cni: Path) -> str:
    """containerd's configuration (TOML, version 2)."""

    def text(value: str | Path) -> str:
        return json.dumps(str(value))  # a JSON string is a TOML basic string

    state, runtime = settings.state, settings.runtime
    return f"""version = 2
root = {text(state / "containerd")}
state = {text(runtime / "containerd")}
# Other snapshotters only warn that they are not usable here; the restart monitor serves no Kubernetes.
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.restart", "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
address = {text(settings.containerd_socket)}
[plugins."io.containerd.internal.v1.opt"]
path = {text(state / "containerd-opt")}
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = {text(names.PAUSE_IMAGE)}
# Without CAP_SYS_RESOURCE (many virtual machines and containers) a sandbox's score below containerd's is refused.
restrict_oom_score_adj = true
# Network namespaces of crashed runs are then found in one place, apart from everybody else's.
netns_mounts_under_state_dir = true
stream_server_address = "127.0.0.1"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = {text(cni)}
conf_dir = {text(settings.config / "cni")}
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
Root = {text(runtime / "runc")}
"""


def cni_network(settings: Settings) -> dict[str, Any]:
    """The pods' network: a point-to-point link to each, its traffic to elsewhere behind the machine's address."""
    addresses = {
        "type": "host-local",
        "dataDir": str(settings.runtime / "cni"),
        "ranges": [[{"subnet": names.POD_NETWORK}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    return {
        "cniVersion": "0.4.0",
        "name": names.NETWORK_NAME,
        "plugins": [{"type": "ptp", "ipMasq": True, "ipam": addresses}],
    }


def kubelet(settings: Settings) -> dict[str, Any]:
    """The kubelet's configuration."""
    never = dict.fromkeys(("memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available"), "0%")
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": settings.address,
        "port": settings.ports.kubelet,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": settings.ports.kubelet_health,
        "tlsCertFile": str(settings.pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(settings.pki / "kubelet.key"),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(settings.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{settings.containerd_socket}",
        "podLogsDir": str(settings.state / "pod-logs"),
        "volumePluginDir": str(settings.state / "volume-plugins"),
        "cgroupDriver": "cgroupfs",
        # A cgroup of its own: what a crashed run left running is then known for what it is.
        "cgroupRoot": f"/{names.CGROUP}",
        "failCgroupV1": False,
        # Three events for each container would be a third of what is written; these are enough to see what goes wrong.
        "eventRecordQPS": 5,
        "eventBurst": 10,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "maxPods": 250,
        # No registry holds the images: what a full disk made the kubelet remove could not be pulled again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": never,
        # Chains that the kubelet itself no longer uses.
        "makeIPTablesUtilChains": False,
    }


def kube_proxy(settings: Settings) -> dict[str, Any]:
    """kube-proxy's configuration."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": str(settings.pki / "proxy.kubeconfig")},
        "hostnameOverride": names.NODE,
        "bindAddress": settings.address,
        "healthzBindAddress": f"127.0.0.1:{settings.ports.proxy_health}",
        "metricsBindAddress": f"127.0.0.1:{settings.ports.proxy_metrics}",
        "clusterCIDR": names.POD_NETWORK,
        "nodePortAddresses": [f"{settings.address}/32"],
        # Nothing of the machine's own settings is changed: no route_localnet, no connection-tracking limits.
        "iptables": {"localhostNodePorts": False},
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "oomScoreAdj": 0,
    }


def write(settings: Settings) -> None:
    """Write every configuration file (again: they follow from the settings alone)."""
    documents = {
        "containerd.toml": containerd(settings, cni_folder()),
        "cni/10-plato-sas.conflist": json.dumps(cni_network(settings), indent=2),
        "kubelet.yaml": json.dumps(kubelet(settings), indent=2),
        "kube-proxy.yaml": json.dumps(kube_proxy(settings), indent=2),
    }
    for name, content in documents.items():
        path = settings.config / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.new")
        partial.write_text(content)
        partial.replace(path)
