"""The root file system of a node: Debian packages, kind's own files, and the project's Kubernetes binary."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.cluster import settings
from e2e.cluster.archives import write_program_image
from e2e.cluster.commands import Runner, run
from e2e.cluster.kind import kube_image, names
from e2e.cluster.waiting import wait_until
from e2e.images import debian
from e2e.processes.record import start
from e2e.processes.table import end
from e2e.setup.prerequisites import SEARCH_PATH
from e2e.setup.toolchain.tools import KUBERNETES

PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "mount", "iproute2", "iptables"),
    *("containerd", "runc", "containernetworking-plugins"),
)
FILES = Path(__file__).with_name("node")
_CNI_PLUGINS = ("host-local", "loopback", "ptp")
_SERVICES = ("containerd", "kubelet", "undo-mount-hacks", "pod-network")
_KIND_FILES = ("etc/default", "etc/systemd", "kind", "usr/local/bin/entrypoint")


def make(root: Path, binaries: Path, kind_module: Path, log: Path) -> None:
    """Make the root in that folder, which must not be there. Raises ClusterError or CommandFailed."""
    debian.make_root(root, log, include=PACKAGES)
    _quieten_systemd(root)
    _add_kind(root, kind_module / "images/base/files")
    _add_ours(root, binaries)
    _add_images(root, binaries, run)
    for folder in ("var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(root / folder, ignore_errors=True)


def _quieten_systemd(root: Path) -> None:
    """Start nothing that is of no use in a container (as kind's own image does it)."""
    units = root / "lib/systemd/system"
    for pattern in (
        *("sysinit.target.wants/systemd-tmpfiles-setup.service", "multi-user.target.wants/*"),
        *("local-fs.target.wants/*", "basic.target.wants/*"),
        *("sockets.target.wants/*udev*", "sockets.target.wants/*initctl*"),
    ):
        for unit in units.glob(pattern):
            unit.unlink()
    for unit in (root / "etc/systemd/system").glob("*.wants/*"):
        unit.unlink()
    (root / "etc/systemd/system/systemd-binfmt.service").symlink_to("/dev/null")
    with (root / "etc/systemd/journald.conf").open("a") as journal:
        journal.write("ReadKMsg=no\n")
    # Settings of the kernel that are not a container's own: a node would set them for the whole machine.
    for file in (root / "usr/lib/sysctl.d").glob("*.conf"):
        file.unlink()


def _add_kind(root: Path, files: Path) -> None:
    """What kind expects to find in a node."""
    for name in _KIND_FILES:
        source = files / name
        if source.is_dir():
            shutil.copytree(source, root / name, dirs_exist_ok=True, copy_function=shutil.copyfile)
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, root / name)
    # Go keeps its modules read-only.
    for path in (*(root / "kind").rglob("*"), *(root / "etc/systemd/system").rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    (root / "usr/local/bin/entrypoint").chmod(0o755)
    (root / "kind/version").write_text(f"v{KUBERNETES}")
    for folder in ("kind/manifests", "etc/kubernetes/manifests", "etc/cni/net.d", "opt/cni/bin"):
        (root / folder).mkdir(parents=True, exist_ok=True)


def _add_ours(root: Path, binaries: Path) -> None:
    """Kubernetes, the container runtime as this image has it, and the pods' network."""
    shutil.copy2(binaries / "kube", root / "usr/bin/kube")
    for name in ("kubeadm", "kubectl", "kubelet"):
        (root / "usr/bin" / name).symlink_to("kube")
    for name in ("containerd", "containerd-shim-runc-v2", "ctr"):
        (root / "usr/local/bin" / name).symlink_to(f"/usr/bin/{name}")
    for name in _CNI_PLUGINS:
        (root / "opt/cni/bin" / name).symlink_to(f"/usr/lib/cni/{name}")
    (root / "etc/containerd").mkdir(exist_ok=True)
    (root / "etc/containerd/config.toml").write_text(filled_in("containerd.toml"))
    (root / "usr/local/bin/pod-network").write_text(filled_in("pod-network.sh"))
    (root / "usr/local/bin/pod-network").chmod(0o755)
    (root / "etc/systemd/system/pod-network.service").write_text(filled_in("pod-network.service"))
    wanted = root / "etc/systemd/system/multi-user.target.wants"
    wanted.mkdir(parents=True, exist_ok=True)
    for name in _SERVICES:
        (wanted / f"{name}.service").symlink_to(f"/etc/systemd/system/{name}.service")


def filled_in(name: str) -> str:
    """A file of the node as it is in the image."""
    text = (FILES / name).read_text()
    prefix = names.POD_NETWORK.removesuffix(".0.0/16")
    return text.replace("@PAUSE_IMAGE@", settings.PAUSE_IMAGE).replace("@POD_PREFIX@", prefix)


def _add_images(root: Path, binaries: Path, runner: Runner) -> None:
    """The images that a node needs before any other can be loaded: content only, unpacked at first use."""
    archives = root.parent / "images"
    kube, pause = archives / "kube.tar", archives / "pause.tar"
    kube_image.write(kube, root, runner)
    write_program_image(pause, binaries / "pause", reference=settings.PAUSE_IMAGE)
    with _containerd(root / "var/lib/containerd", root.parent / "containerd") as ctr:
        for archive in (kube, pause):
            runner([*ctr, "images", "import", "--digests", "--no-unpack", str(archive)], timeout=120)
    shutil.rmtree(archives)


@contextmanager
def _containerd(store: Path, folder: Path) -> Iterator[list[str]]:
    """A containerd that keeps its images in `store`; returns the client's command."""
    folder.mkdir(parents=True)
    socket, configuration = folder / "c.sock", folder / "config.toml"
    configuration.write_text(
        f'version = 2\nroot = "{store}"\nstate = "{folder}/state"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]\n'
        f'[grpc]\naddress = "{socket}"\n'
    )
    ctr = ["ctr", f"--address={socket}", f"--namespace={settings.CONTAINERD_NAMESPACE}"]
    command = ["containerd", f"--config={configuration}", "--log-level=warn"]
    process = start(command, log=folder / "log", environment={"PATH": SEARCH_PATH}, folder=folder)
    try:
        wait_until(lambda: "" if socket.exists() else "no socket", what="containerd", timeout=30)
        yield ctr
    finally:
        end(process, grace_seconds=10)
        shutil.rmtree(folder)
