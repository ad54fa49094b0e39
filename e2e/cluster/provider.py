"""What every kind of cluster can do."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from e2e.cluster.archives import ArchivedImage


@dataclass(frozen=True)
class ComponentStatus:
    """One line of the status table."""

    name: str
    pid: int | None
    uptime_seconds: float | None
    ports: str
    health: str
    """Empty: healthy; else what is wrong."""


@dataclass(frozen=True)
class ClusterStatus:
    """What runs. Without components there is no cluster of this checkout, and `node` says so."""

    provider: str
    server: str
    components: list[ComponentStatus] = field(default_factory=list[ComponentStatus])
    node: str = ""
    """Empty: ready; else what is wrong."""
    images: list[str] = field(default_factory=list[str])

    @property
    def up(self) -> bool:
        return bool(self.components) and not self.node and not any(c.health for c in self.components)


class Provider(Protocol):
    """A cluster."""

    name: str

    def up(self, *, replace: bool = False) -> None:
        """Make the cluster, or bring back what is missing of it, and wait until it is ready. Raises ClusterError."""
        ...

    def down(self, *, purge: bool = False) -> None:
        """Stop it and remove its state; with `purge` also the volumes, which hold the products."""
        ...

    def status(self) -> ClusterStatus: ...

    def load(self, archives: Sequence[Path]) -> dict[ArchivedImage, bool]:
        """Bring the images of OCI archives to every node; True for one that was new. Raises ClusterError."""
        ...

    def node_path(self, path: Path) -> Path:
        """The path on the nodes of a folder of this machine. Raises ClusterError if they do not see it."""
        ...

    def kubectl(self, arguments: Sequence[str], *, stdin: str = "", timeout: float = 60) -> str:
        """Run kubectl against this cluster; returns its output. Raises ClusterError."""
        ...
