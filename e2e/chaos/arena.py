"""A namespace of the suite's own: volumes, the operator's rights, modules and pipelines; removed at the end."""

import json
import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from e2e.chaos import workload
from e2e.chaos.api import Api
from e2e.cluster import LocalCluster, Provider, connect, ensure_storage
from e2e.cluster.leftovers import mounts_under
from e2e.cluster.storage import OWNER, default_folders
from e2e.endpoint import Endpoint, endpoint
from e2e.install.modules import pinned
from e2e.kubernetes import apply, kubectl, run
from e2e.layout import CLUSTER, LOCAL, REPOSITORY
from e2e.processes.command import CommandFailed
from e2e.setup.prerequisites import SEARCH_PATH

NAMESPACE = "plato-chaos"
STATE = LOCAL / "chaos"
_IMAGES = ("localhost/plato-sas/stager:0.1.0", workload.IMAGE)
_ACCOUNT = "plato-sas-operator"
_TEMPLATES = ("templates/serviceaccount.yaml", "templates/role.yaml")
_IMAGE = STATE / "products.ext4"
_IMAGE_BYTES = 1 << 30  # sparse
_INODES = 400_000
_LOST = "lost+found"  # as on every fresh ext4: root's own, and no campaign
_BALLAST = ".ballast"
_TOKEN_HOURS = 6


class ArenaError(Exception):
    """The suite cannot begin; the message says what to do."""


@dataclass(frozen=True)
class Arena:
    """What every drill needs."""

    platform: Provider
    upstream: Endpoint
    api: Api
    token: str
    stager_image: str
    products: Path

    @property
    def local(self) -> LocalCluster | None:
        """The cluster whose components are processes of this machine, if it is one."""
        return self.platform if isinstance(self.platform, LocalCluster) else None

    def fill_volume(self) -> None:
        """Fill the products volume to its last block."""
        with (self.products / _BALLAST).open("ab") as ballast:
            for piece in (16 << 20, 1 << 20, 4096):
                with suppress(OSError):
                    while True:
                        os.posix_fallocate(ballast.fileno(), os.fstat(ballast.fileno()).st_size, piece)

    def forbid_writing(self) -> None:
        """Mount the products volume read-only. Raises CommandFailed while a file on it is open for writing."""
        _run("mount", "-o", "remount,ro", str(self.products))

    def restore_volume(self) -> None:
        """Make the products volume writable and free its space again. Raises CommandFailed."""
        _run("mount", "-o", "remount,rw", str(self.products))
        (self.products / _BALLAST).unlink(missing_ok=True)


def open_arena() -> Arena:
    """Set it up, after removing what an interrupted run left. Raises ArenaError."""
    platform = connect()
    status = platform.status()
    if not status.up:
        raise ArenaError("the test platform is not up: make cluster")
    if missing := [image for image in map(pinned, _IMAGES) if "@" not in image or image not in status.images]:
        raise ArenaError(f"not on the node: {', '.join(missing)}: make load")
    close_arena()
    products = default_folders(NAMESPACE)[1]
    if isinstance(platform, LocalCluster):
        _mount(products)
    _, products = ensure_storage(platform, NAMESPACE)
    crds = str(REPOSITORY / "crds")
    kubectl("apply", "--server-side", "--force-conflicts", "-f", crds)
    kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", crds)
    apply(_rights(), namespace=NAMESPACE)
    apply(workload.modules_and_pipelines(), namespace=NAMESPACE)
    token = kubectl("create", "token", _ACCOUNT, f"--duration={_TOKEN_HOURS}h", namespace=NAMESPACE).strip()
    upstream = endpoint()
    return Arena(platform, upstream, Api(upstream, NAMESPACE), token, pinned(_IMAGES[0]), products)


def close_arena() -> None:
    """Remove everything that `open_arena` makes, as far as it exists. Raises CommandFailed."""
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=150s", timeout=160)
    volumes = [f"persistentvolume/{NAMESPACE}-{claim}" for claim in ("sas-inputs", "sas-products")]
    kubectl("delete", *volumes, "--ignore-not-found", "--timeout=30s")
    inputs, products = default_folders(NAMESPACE)
    unmount_forgotten()
    while products.is_mount():
        _unmount(products)
    for folder in (inputs, products):
        shutil.rmtree(folder, ignore_errors=True)
    _IMAGE.unlink(missing_ok=True)
    with suppress(OSError):
        inputs.parent.rmdir()


def _rights() -> list[dict[str, Any]]:
    """The operator's account, with its role from the chart."""
    chart = str(REPOSITORY / "charts" / "plato-sas")
    shown = [f"--show-only={template}" for template in _TEMPLATES]
    server = json.loads(kubectl("version", "--output=json"))["serverVersion"]["gitVersion"]
    text = run("helm", "template", "plato-sas", chart, "--namespace", NAMESPACE, f"--kube-version={server}", *shown)
    return [document for document in yaml.safe_load_all(text) if document]


def _mount(folder: Path) -> None:
    """A file system of its own, which can be filled and made read-only without harm to others."""
    folder.mkdir(parents=True, exist_ok=True)
    STATE.mkdir(parents=True, exist_ok=True)
    with _IMAGE.open("wb") as image:
        image.truncate(_IMAGE_BYTES)
    try:
        _run("mkfs.ext4", "-q", "-m", "0", "-N", str(_INODES), "-E", f"root_owner={OWNER}:{OWNER}", str(_IMAGE))
        _run("mount", "-o", "loop", str(_IMAGE), str(folder))
    except CommandFailed as error:
        raise ArenaError(f"the products volume needs mkfs.ext4 and a loop device: {error}") from None


def _unmount(folder: Path) -> None:
    # Lazily: the kubelet may still be taking down a pod that had it.
    _run("umount", "--lazy", str(folder))


def _run(*command: str) -> None:
    """Raises CommandFailed."""
    environment = {**os.environ, "PATH": SEARCH_PATH}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    except FileNotFoundError:
        raise CommandFailed(f"{command[0]} is missing") from None
    if done.returncode != 0:
        raise CommandFailed(f"{' '.join(command[:4])}: {done.stderr.strip()}")


def clear_stars() -> None:
    """Delete every star of the namespace with its Jobs and pods, and wait until they are gone. Raises CommandFailed."""
    kubectl("delete", "starprocessings", "--all", "--timeout=60s", namespace=NAMESPACE, timeout=70)
    kubectl("delete", "jobs", "--all", "--timeout=60s", namespace=NAMESPACE, timeout=70)
    kubectl("delete", "pods", "--all", "--timeout=60s", namespace=NAMESPACE, timeout=70)


def unmount_forgotten() -> None:
    """Unmount what the kubelet forgets: subpath mounts of pods that were deleted by force while it was down.

    As long as one holds a folder that was removed, the volume cannot be made read-only. Raises CommandFailed.
    """
    for point in mounts_under([CLUSTER / "kubelet" / "pods"]):
        if f"/{NAMESPACE}-sas-" in point:
            _unmount(Path(point))


def clear_products(products: Path) -> None:
    """Empty the products volume."""
    for entry in products.iterdir():
        if entry.name != _LOST:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def describe_stars() -> str:
    """The stars' statuses in short, for a report of what went wrong."""
    items = json.loads(kubectl("get", "starprocessings", "-o", "json", namespace=NAMESPACE))["items"]
    lines = []
    for item in items:
        status = item.get("status", {})
        listed = ", ".join(
            f"{step['name']} {step['state']}/{step.get('attempt', 0)} {step.get('reason', '')}".strip()
            for step in status.get("steps", [])
        )
        lines.append(f"{item['metadata']['name']}: {status.get('state')}: {listed}")
    return "\n".join(lines)
