"""Which cluster is meant."""

import os
from pathlib import Path

from e2e import layout
from e2e.cluster.errors import ClusterError
from e2e.cluster.kind.provider import KindCluster
from e2e.cluster.local import LocalCluster
from e2e.cluster.provider import Provider
from e2e.setup.prerequisites import PrerequisiteError, chosen_provider

_RECORD = layout.STATE / "provider"


def recorded(record: Path = _RECORD) -> str | None:
    """The provider of the cluster that the last `up` made, until its `down`."""
    try:
        name = record.read_text().strip()
    except FileNotFoundError:
        return None
    return name if name in ("kind", "local") else None


def remember(name: str | None, record: Path = _RECORD) -> None:
    """Note which provider made the cluster, or that there is none."""
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(name) if name else record.unlink(missing_ok=True)


def connect(wanted: str | None = None) -> Provider:
    """The cluster of that provider (default: $CLUSTER, else `auto`).

    `auto` is the cluster that is there, else kind where a Docker engine answers, else local. Raises ClusterError for an
    unknown name.
    """
    wanted = wanted or os.environ.get("CLUSTER") or "auto"
    try:
        name = (recorded() if wanted == "auto" else None) or chosen_provider(wanted)
    except PrerequisiteError as error:
        raise ClusterError(str(error)) from error
    return KindCluster() if name == "kind" else LocalCluster()
