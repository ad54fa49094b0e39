"""The image of the nodes: kind's published one where it can be pulled, else one that is made here."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from e2e import layout
from e2e.cluster.commands import Runner
from e2e.cluster.errors import ClusterError
from e2e.cluster.kind import kube_image, names, node_root
from e2e.images import debian
from e2e.processes.command import CommandFailed
from e2e.progress import phase
from e2e.setup.toolchain import ToolchainError, ensure, module_folder
from e2e.setup.toolchain.tools import KIND, named

# The default of that kind (pkg/apis/config/defaults/image.go).
PUBLISHED = "docker.io/kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"
_MADE = "localhost/plato-sas/node"
_CHOICE = "KIND_NODE_IMAGE"
_PULL_TIMEOUT = 900
_TOOLS = ("kube", "pause")


@dataclass(frozen=True)
class NodeImage:
    """An image that the engine has."""

    name: str
    made_here: bool
    """Then it has its own pod network, and no cluster DNS."""


def ensure_node_image(docker: Runner) -> NodeImage:
    """Have an image: the one that the engine has, else the published one, else one made now. Raises ClusterError.

    $KIND_NODE_IMAGE `published` or `made` takes that one alone.
    """
    choice = os.environ.get(_CHOICE) or "auto"
    if choice not in ("auto", "published", "made"):
        raise ClusterError(f"{_CHOICE}: {choice!r} is none of auto, published, made")
    made, published = NodeImage(made_name(), True), NodeImage(PUBLISHED, False)
    for image in (published, made):
        if choice != _other(image) and _has(docker, image):
            return image
    if choice != "made":
        try:
            with phase("pulling kind's node image"):
                docker(["docker", "pull", "--quiet", PUBLISHED], timeout=_PULL_TIMEOUT)
        except ClusterError:
            if choice == "published":
                raise
            print("kind's node image cannot be pulled; making one of Debian packages and the project's binaries.")
        else:
            return published
    try:
        _make(made.name, docker)
    except (CommandFailed, ToolchainError) as error:
        raise ClusterError(f"node image: {error}") from error
    return made


def _other(image: NodeImage) -> str:
    return "published" if image.made_here else "made"


def _has(docker: Runner, image: NodeImage) -> bool:
    try:
        docker(["docker", "image", "inspect", "--format={{.Id}}", image.name])
    except ClusterError:
        return False
    return True


def made_name() -> str:
    """The name of the image as it would be made now; it changes with anything that goes into it."""
    digest = hashlib.sha256("\0".join([KIND, debian.fingerprint(), names.POD_NETWORK, *node_root.PACKAGES]).encode())
    for name in _TOOLS:
        digest.update(named(name, "local").stamp().encode())
    sources = [Path(node_root.__file__), Path(kube_image.__file__)]
    for file in [*sources, *sorted(node_root.FILES.iterdir())]:
        digest.update(file.read_bytes())
    return f"{_MADE}:{digest.hexdigest()[:12]}"


def _make(name: str, docker: Runner) -> None:
    """Build the root and hand it to the engine; earlier images go. Raises what any of the steps does."""
    ensure([named(tool, "local") for tool in _TOOLS])
    kind_module = module_folder(KIND)
    work = names.FOLDER / "build"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        with phase("root of the node image"):
            log = names.FOLDER / "logs" / "root.log"
            log.unlink(missing_ok=True)
            node_root.make(work / "root", layout.BIN, kind_module, log)
        with phase("node image"):
            archive = work / "root.tar"
            docker(["tar", "-C", str(work / "root"), "--numeric-owner", "-cf", str(archive), "."], timeout=300)
            changes = ["--change", "ENV container=docker"]
            changes += ["--change", 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]']
            docker(["docker", "import", *changes, str(archive), name], timeout=600)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    for old in docker(["docker", "image", "ls", "--format={{.Repository}}:{{.Tag}}", _MADE]).split():
        if old != name:
            docker(["docker", "image", "rm", old])
