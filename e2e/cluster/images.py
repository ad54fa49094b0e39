"""Bringing images to the local node."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from e2e.cluster.archives import ArchivedImage, images_in
from e2e.cluster.commands import Runner
from e2e.cluster.errors import ClusterError
from e2e.cluster.settings import Settings
from e2e.cluster.waiting import wait_until

_IMPORT_TIMEOUT = 300
_MANAGED = "io.cri-containerd.image=managed"


def parse_listing(listing: str) -> dict[str, str]:
    """The images in the output of `ctr images ls` that the kubelet finds: full name to digest."""
    # REF TYPE DIGEST SIZE PLATFORMS LABELS; the CRI plugin labels an image when it has taken note of it.
    return {
        line.split()[0]: line.split()[2]
        for line in listing.splitlines()[1:]
        if _MANAGED in line and not line.startswith("sha256:")
    }


def on_node(settings: Settings, runner: Runner) -> dict[str, str]:
    """The local node's images: full name to digest."""
    return parse_listing(runner([*settings.ctr(), "images", "ls"]))


def lacking(images: Sequence[ArchivedImage], present: Mapping[str, str]) -> list[ArchivedImage]:
    """The images that a node does not have, by name and by digest; `present` is its listing."""
    return [one for one in images if not present.get(one.reference) == present.get(one.pinned) == one.digest]


def pin(ctr: Sequence[str], images: Sequence[ArchivedImage], runner: Runner) -> None:
    """Name imported images by their digests too: without a registry nothing else does. Raises ClusterError."""
    for image in images:
        runner([*ctr, "images", "tag", "--force", image.reference, image.pinned])


def load(settings: Settings, archives: Sequence[Path], runner: Runner) -> dict[ArchivedImage, bool]:
    """Import OCI archives; True for an image that was new to the node. Raises ClusterError.

    An image that the node has under the same name and with the same digest is left as it is.
    """
    wanted = {archive: images_in(archive) for archive in archives}
    present = on_node(settings, runner)
    loaded: dict[ArchivedImage, bool] = {}
    for archive, images in wanted.items():
        new = lacking(images, present)
        if new:
            runner([*settings.ctr(), "images", "import", str(archive)], timeout=_IMPORT_TIMEOUT)
            pin(settings.ctr(), new, runner)
        loaded.update({image: image in new for image in images})

    def unseen() -> str:
        found = on_node(settings, runner)
        absent = [image.reference for image in lacking(list(loaded), found)]
        return f"the node does not have {', '.join(absent)}" if absent else ""

    if any(loaded.values()):
        wait_until(unseen, what="loading images", timeout=30)
    elif not loaded:
        raise ClusterError("no archive to load")
    return loaded
