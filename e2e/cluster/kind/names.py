"""Names, folders and networks of a checkout's kind cluster: two checkouts have two, beside a local cluster."""

import hashlib
from pathlib import Path

from e2e import layout

WORKERS = 2
FOLDER = layout.LOCAL / "kind"
# Others than the local cluster has: packets between two nodes pass this machine's own packet filter.
POD_NETWORK = "10.245.0.0/16"
SERVICE_NETWORK = "10.97.0.0/16"
NODE_NETWORKS = "172.30.0.0/16"
"""Where a free one is taken for the nodes of an engine that was started here."""


def cluster_name(state: Path = layout.STATE) -> str:
    """A name of its own for the cluster whose state is in that folder: two checkouts have two clusters."""
    return f"plato-sas-{_mark(state)}"


def engine_name(folder: Path = FOLDER) -> str:
    """A name of its own for the Docker engine of a checkout."""
    return f"plato-sas-kind-{_mark(folder)}"


def _mark(folder: Path) -> str:
    return hashlib.sha256(str(folder).encode()).hexdigest()[:6]


def node_names(cluster: str) -> list[str]:
    """Nodes and their containers, the control plane first (kind's convention)."""
    return [f"{cluster}-control-plane", *worker_names(cluster)]


def worker_names(cluster: str) -> list[str]:
    """The nodes that pods run on."""
    return [f"{cluster}-worker{number if number > 1 else ''}" for number in range(1, WORKERS + 1)]
