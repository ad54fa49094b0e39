"""Building with buildah, where no Docker engine answers. All it stores is under one folder."""

import os
import shutil
import subprocess
from pathlib import Path

from e2e.images import debian
from e2e.images.sources import DEBIAN, Image
from e2e.processes.command import CommandFailed, run_logged, run_text

_BUILD_TIMEOUT = 1800.0
_SAVE_TIMEOUT = 600.0
# Half the time of gzip, to write and to load; containerd reads it from 1.5 on.
_COMPRESSION = ("--compression-format", "zstd", "--compression-level", "1")
_CERTIFICATES = Path("/etc/ssl/certs")
_BUNDLE_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_DEBIAN_LABEL = "io.plato-sas.debian"


def missing_programs() -> list[str]:
    """The programs this engine needs that are not installed."""
    return [name for name in ("buildah", "mmdebstrap") if shutil.which(name) is None]


class Buildah:
    """buildah with its own storage in `folder`; needs root, and no daemon."""

    name = "buildah"

    def __init__(self, label: str, folder: Path) -> None:
        self._label = label
        self._folder = folder
        driver = "overlay" if _overlay_works(folder) else "vfs"
        self._storage = folder / f"storage-{driver}"
        self._scratch = folder / "scratch"
        self._cache = folder / "uv-cache"
        self._buildah = [
            "buildah",
            "--root",
            str(self._storage),
            "--runroot",
            str(folder / f"run-{driver}"),
            "--storage-driver",
            driver,
        ]

    def prepare(self) -> None:
        """Remove a crashed build's left-overs; make the Debian root if it is missing or outdated."""
        self._remove_containers()
        for folder in (self._scratch, self._cache):
            folder.mkdir(parents=True, exist_ok=True)
        if self._label_of(f"docker.io/library/{DEBIAN}", _DEBIAN_LABEL) != debian.fingerprint():
            self._make_debian(self._folder / "logs" / "debian.log")

    def debian_fingerprint(self) -> str:
        """What the Debian root is made from."""
        return debian.fingerprint()

    def built_fingerprint(self, image: Image) -> str | None:
        """The label on the image in this storage."""
        return self._label_of(image.reference, self._label)

    def build(self, image: Image, fingerprint: str, log: Path) -> None:
        """Run ``buildah build`` in a chroot, on the host's network for the package registries."""
        command = [*self._buildah, "build", "--isolation", "chroot", "--network", "host", "--pull=never"]
        command += ["--layers", "--force-rm", "--format", "oci", *self._mounts(image)]
        command += ["--label", f"{self._label}={fingerprint}", "--tag", image.reference]
        command += ["--file", str(image.dockerfile), str(image.context)]
        run_logged(command, log, timeout=_BUILD_TIMEOUT, environment=self._environment())

    def save(self, image: Image, archive: Path, log: Path) -> str:
        """Write an OCI archive that carries the image's reference; the digest is its manifest's."""
        digest = archive.with_suffix(".digest")
        command = [*self._buildah, "push", *_COMPRESSION, "--digestfile", str(digest)]
        command += [image.reference, f"oci-archive:{archive}:{image.reference}"]
        try:
            run_logged(command, log, timeout=_SAVE_TIMEOUT, environment=self._environment())
            return digest.read_text().strip()
        finally:
            digest.unlink(missing_ok=True)

    def clean(self) -> None:
        """Remove working containers, their mounts and temporary files; finished layers stay for the next build."""
        self._remove_containers()

    def _make_debian(self, log: Path) -> None:
        folder = self._scratch / "debian"
        folder.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        try:
            debian.make_root(folder / "root.tar", log)
            (folder / "Dockerfile").write_text('FROM scratch\nADD root.tar /\nCMD ["bash"]\n')
            command = [*self._buildah, "build", "--format", "oci"]
            command += ["--label", f"{_DEBIAN_LABEL}={debian.fingerprint()}"]
            command += ["--tag", f"docker.io/library/{DEBIAN}", str(folder)]
            run_logged(command, log, timeout=_BUILD_TIMEOUT, environment=self._environment())
        finally:
            shutil.rmtree(folder)

    def _mounts(self, image: Image) -> list[str]:
        """Mounted only while building, in no image: the machine's certificates and uv's download cache."""
        # A mount point stays behind as an empty folder: none in the base that all images end on.
        mounts = [] if DEBIAN in image.parsed.bases else [(self._cache, "/root/.cache/uv", "rw")]
        bundle = next((Path(os.environ[name]) for name in _BUNDLE_VARIABLES if os.environ.get(name)), None)
        if bundle is not None and bundle.is_file() and not bundle.is_relative_to(_CERTIFICATES):
            mounts.append((bundle.resolve(), str(_CERTIFICATES / "ca-certificates.crt"), "ro"))
        elif _CERTIFICATES.is_dir():
            mounts.append((_CERTIFICATES, str(_CERTIFICATES), "ro"))
        return [word for source, target, mode in mounts for word in ("--volume", f"{source}:{target}:{mode}")]

    def _label_of(self, reference: str, label: str) -> str | None:
        template = f'{{{{index .OCIv1.Config.Labels "{label}"}}}}'
        return run_text([*self._buildah, "inspect", "--type", "image", "--format", template, reference])

    def _environment(self) -> dict[str, str]:
        return {"TMPDIR": str(self._scratch)}

    def _remove_containers(self) -> None:
        run_text([*self._buildah, "rm", "--all"], timeout=120)
        unmount_below(self._folder)
        shutil.rmtree(self._scratch, ignore_errors=True)


def unmount_below(folder: Path) -> None:
    """Unmount everything mounted below `folder`, the innermost first."""
    prefix = f"{folder.resolve()}/"
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in reversed(points):
        if point.startswith(prefix):
            run_text(["umount", "--lazy", point])


def _overlay_works(folder: Path) -> bool:
    """Whether an overlay can be mounted on the file system of `folder` (not inside most containers)."""
    probe = folder / "overlay-probe"
    parts = {name: probe / name for name in ("lower", "upper", "work", "merged")}
    for part in parts.values():
        part.mkdir(parents=True, exist_ok=True)
    try:
        options = f"lowerdir={parts['lower']},upperdir={parts['upper']},workdir={parts['work']}"
        mount = ["mount", "-t", "overlay", "overlay", "-o", options, str(parts["merged"])]
        if subprocess.run(mount, capture_output=True, timeout=30, check=False).returncode != 0:
            return False
        subprocess.run(["umount", str(parts["merged"])], timeout=30, check=True)
        return True
    except OSError as error:
        raise CommandFailed(f"mount: {error}") from error
    finally:
        shutil.rmtree(probe, ignore_errors=True)
