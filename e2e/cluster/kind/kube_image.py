"""The image of the control plane and kube-proxy in a made node: the project's one binary, under all their names."""

import io
import re
import tarfile
from pathlib import Path

from e2e.cluster.archives import Layer, write_image
from e2e.cluster.commands import Runner
from e2e.setup.toolchain.tools import KUBERNETES

COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "etcd")
_ETCD = "3.6.8-0"
_REGISTRY = "registry.k8s.io"
_IPTABLES = "usr/sbin/xtables-nft-multi"
_IPTABLES_NAMES = [f"{name}{what}" for name in ("iptables", "ip6tables") for what in ("", "-save", "-restore")]


def references() -> list[str]:
    """The names that kubeadm gives the components' images (`kubeadm config images list`)."""
    versions = dict.fromkeys(COMPONENTS, f"v{KUBERNETES}") | {"etcd": _ETCD}
    return [f"{_REGISTRY}/{name}:{version}" for name, version in versions.items()]


def write(archive: Path, root: Path, runner: Runner) -> None:
    """Make the image of the binary and the iptables in the node's `root`. Raises ClusterError."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.add(root / "usr/bin/kube", "usr/local/bin/kube", filter=_anonymous)
        for name in COMPONENTS:
            _link(tar, f"usr/local/bin/{name}", "kube")
        # kube-proxy writes its rules with iptables, which is linked to libraries.
        tar.add(root / _IPTABLES, _IPTABLES, filter=_anonymous)
        for name in _IPTABLES_NAMES:
            _link(tar, f"usr/sbin/{name}", Path(_IPTABLES).name)
        for library in _libraries(root, runner):
            tar.add((root / library).resolve(), library, filter=_anonymous)
        for folder in root.glob("usr/lib/*/xtables"):
            tar.add(folder, str(folder.relative_to(root)), filter=_anonymous)
    config = {"Env": ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
    write_image(archive, Layer.of(buffer.getvalue(), compress=True), references=references(), config=config)


def _libraries(root: Path, runner: Runner) -> list[str]:
    """The shared libraries of iptables and of its extensions, as paths below the root."""
    extensions = [f"/{one.relative_to(root)}" for one in root.glob("usr/lib/*/xtables/*.so")]
    listing = runner(["chroot", str(root), "ldd", f"/{_IPTABLES}", *extensions])
    found = {word for word in re.findall(r"(?:=> |\t)(/\S+) \(0x", listing) if "/xtables/" not in word}
    return sorted(word.removeprefix("/") for word in found)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    return entry


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    tar.addfile(entry)
