"""What kind is asked to make."""

import json
from pathlib import Path, PurePosixPath

from e2e.cluster.kind import names
from e2e.cluster.kind.node_image import NodeImage
from plato_sas.api import Document

NODE_VOLUMES = PurePosixPath("/var/plato-sas/volumes")

# A lost node is noticed after 20 s, not 50, and its pods are told to go after another 10 s, not 300. The kubelet renews
# its lease often enough for that: every quarter of its duration.
_NODE_LOST_SECONDS = 20
_TOLERATED_SECONDS = 10


def config(image: NodeImage, volumes: Path) -> str:
    """kind's configuration: a control plane and workers, each with `volumes` of this machine mounted into it."""
    mounts = [{"hostPath": str(volumes), "containerPath": str(NODE_VOLUMES)}]
    roles = ["control-plane", *["worker"] * names.WORKERS]
    networking: Document = {
        "apiServerAddress": "127.0.0.1",
        "podSubnet": names.POD_NETWORK,
        "serviceSubnet": names.SERVICE_NETWORK,
    }
    if image.made_here:
        networking["disableDefaultCNI"] = True
    document = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": networking,
        "kubeadmConfigPatches": [json.dumps(patch) for patch in _patches(image)],
        "kubeadmConfigPatchesJSON6902": [
            {
                "group": "kubeadm.k8s.io",
                "version": "v1beta4",
                "kind": "ClusterConfiguration",
                "patch": json.dumps(_arguments()),
            }
        ],
        # Without CAP_SYS_RESOURCE a sandbox's score below containerd's is refused.
        "containerdConfigPatches": ['[plugins."io.containerd.grpc.v1.cri"]\n  restrict_oom_score_adj = true\n'],
        "nodes": [{"role": role, "image": image.name, "extraMounts": mounts} for role in roles],
    }
    return json.dumps(document, indent=2)  # JSON is YAML


def _patches(image: NodeImage) -> list[Document]:
    kubelet = {
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "nodeLeaseDurationSeconds": _NODE_LOST_SECONDS,
        "maxPods": 250,
        "imageGCLowThresholdPercent": 99,
    }
    # A test cluster does not outlive a loss of power: as in the local cluster, writes are not forced to the disk.
    storage = {"local": {"extraArgs": [{"name": "unsafe-no-fsync", "value": "true"}]}}
    patches: list[Document] = [kubelet, {"kind": "ClusterConfiguration", "etcd": storage}]
    if image.made_here:
        # A module's pod needs no cluster DNS; the image of it would be a build of its own.
        patches.append({"kind": "InitConfiguration", "skipPhases": ["preflight", "addon/coredns"]})
    return patches


def _arguments() -> list[Document]:
    """Arguments of the control plane, beside those that kind gives."""
    tolerated = str(_TOLERATED_SECONDS)
    api_server = {
        "default-not-ready-toleration-seconds": tolerated,
        "default-unreachable-toleration-seconds": tolerated,
    }
    # By default it makes 20 requests a second, which is less than six Jobs.
    controllers = {
        "node-monitor-grace-period": f"{_NODE_LOST_SECONDS}s",
        "kube-api-qps": "1000",
        "kube-api-burst": "2000",
    }
    return [
        {"op": "add", "path": f"/{component}/extraArgs/-", "value": {"name": name, "value": value}}
        for component, arguments in (("apiServer", api_server), ("controllerManager", controllers))
        for name, value in arguments.items()
    ]
