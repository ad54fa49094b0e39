"""Building with a Docker engine."""

import tarfile
from pathlib import Path

from e2e.images.docker_archive import convert
from e2e.images.sources import DEBIAN, Image
from e2e.processes.command import CommandFailed, run_logged, run_text

_BUILD_TIMEOUT = 1800.0
_SAVE_TIMEOUT = 600.0


class Docker:
    """The Docker engine; images stay in its own storage."""

    name = "docker"

    def __init__(self, label: str) -> None:
        self._label = label

    def prepare(self) -> None:
        """Nothing to do: the engine looks after itself and pulls the Debian root."""

    def debian_fingerprint(self) -> str:
        """The name: a newer Debian image alone does not rebuild everything."""
        return DEBIAN

    def built_fingerprint(self, image: Image) -> str | None:
        """The label on the image in the engine's storage."""
        template = f'{{{{index .Config.Labels "{self._label}"}}}}'
        return run_text(["docker", "image", "inspect", "--format", template, image.reference])

    def build(self, image: Image, fingerprint: str, log: Path) -> None:
        """Run ``docker build``."""
        command = ["docker", "build", "--progress", "plain", "--label", f"{self._label}={fingerprint}"]
        command += ["--tag", image.reference, "--file", str(image.dockerfile), str(image.context)]
        run_logged(command, log, timeout=_BUILD_TIMEOUT, environment={"DOCKER_BUILDKIT": "1"})

    def save(self, image: Image, archive: Path, log: Path) -> str:
        """Run ``docker save`` and make an OCI archive of the result; the digest is its manifest's."""
        saved = archive.with_suffix(".saved")
        try:
            run_logged(["docker", "save", "--output", str(saved), image.reference], log, timeout=_SAVE_TIMEOUT)
            return convert(saved, archive, image.reference)
        except (OSError, ValueError, tarfile.TarError) as error:
            raise CommandFailed(f"docker save: {error}") from error
        finally:
            saved.unlink(missing_ok=True)

    def clean(self) -> None:
        """Remove the project's images that lost their name to a newer build."""
        command = ["docker", "image", "prune", "--force", "--filter", f"label={self._label}"]
        run_text(command, timeout=120)
