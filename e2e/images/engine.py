"""The engine that builds: Docker where one answers, else buildah."""

from pathlib import Path
from typing import Protocol

from e2e.images.buildah import Buildah, missing_programs
from e2e.images.docker import Docker
from e2e.images.sources import Image
from e2e.setup.prerequisites import docker_answers

LABEL = "io.plato-sas.source"


class Engine(Protocol):
    """What the builder needs of an engine. All raise `CommandFailed` with the log's last lines."""

    name: str

    def prepare(self) -> None:
        """Make the engine ready: remove what a crashed build left, make the Debian root if it is missing."""

    def debian_fingerprint(self) -> str:
        """What identifies the Debian root image that Dockerfiles name."""

    def built_fingerprint(self, image: Image) -> str | None:
        """The fingerprint of the image that is now in the engine's storage; None if there is none."""

    def build(self, image: Image, fingerprint: str, log: Path) -> None:
        """Build the image and tag it with its reference."""

    def save(self, image: Image, archive: Path, log: Path) -> str:
        """Write the image to an archive and return its digest (``sha256:...``)."""

    def clean(self) -> None:
        """Remove what builds that failed or crashed left behind."""


def choose(name: str, folder: Path) -> Engine:
    """The engine `name` (``docker``, ``buildah`` or ``auto``). Raises `ValueError` if it cannot work."""
    if name == "docker" or (name == "auto" and docker_answers()):
        if not docker_answers():
            raise ValueError("no Docker engine answers")
        return Docker(LABEL)
    if missing := missing_programs():
        raise ValueError(
            f"no Docker engine answers, and {', '.join(missing)} not found: start Docker, "
            f"or run: apt-get install --no-install-recommends buildah mmdebstrap"
        )
    return Buildah(LABEL, folder)
