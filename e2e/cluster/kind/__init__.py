"""The cluster that kind makes in Docker: a control plane and two workers, in a container each."""

from e2e.cluster.kind.names import cluster_name
from e2e.cluster.kind.provider import KindCluster

__all__ = ["KindCluster", "cluster_name"]
