"""The test platform's cluster: three nodes made by kind, or one of the components themselves.

from e2e import cluster
platform = cluster.connect()              # the cluster that is up, else the one that `up` would make
platform.up()
platform.load([Path("operator.tar")])
inputs, products = cluster.ensure_storage(platform, "test-a")
local = cluster.LocalCluster()            # single components, for tests of what happens when one fails
local.kill("kubelet"); local.start("kubelet"); local.restart("kube-apiserver")
"""

from e2e.cluster.archives import ArchivedImage, images_in, write_program_image
from e2e.cluster.choice import connect
from e2e.cluster.errors import ClusterError
from e2e.cluster.kind import KindCluster
from e2e.cluster.local import LocalCluster
from e2e.cluster.provider import ClusterStatus, ComponentStatus, Provider
from e2e.cluster.storage import NAMESPACE, ensure_storage

__all__ = [
    "NAMESPACE",
    "ArchivedImage",
    "ClusterError",
    "ClusterStatus",
    "ComponentStatus",
    "KindCluster",
    "LocalCluster",
    "Provider",
    "connect",
    "ensure_storage",
    "images_in",
    "write_program_image",
]
