"""Removes what pods, the kubelet, kube-proxy and kube-router leave on the machine, after an orderly stop or a crash.

Everything is recognised by the platform's own names: its cgroup, its folders, its network, its containerd socket. The
chains of Kubernetes have fixed names; they are removed because the ports allow only one node on this machine.
"""

import os
import re
import shutil
import signal
from collections.abc import Iterable
from pathlib import Path

from e2e.cluster import settings as names
from e2e.cluster.commands import Runner
from e2e.cluster.errors import ClusterError
from e2e.cluster.settings import Settings
from e2e.cluster.waiting import wait_until
from e2e.processes.record import ProcessRecord, arguments, observe, pids
from e2e.processes.table import end

_CGROUPS = Path("/sys/fs/cgroup")
_SHARED_FOLDERS = (
    "/run/containerd/s",
    "/run/containerd",
    "/var/lib/cni/results",
    "/var/lib/cni",
    "/var/lib/kubelet/device-plugins",
    "/var/lib/kubelet",
    "/var/log/containers",
)
_TABLES = ("filter", "nat", "mangle", "raw")
_KUBERNETES_CHAIN = re.compile(r"^:(KUBE-[A-Z0-9-]+) ")
_ADDRESS_SET = re.compile(r"^KUBE-(SRC|DST)-[A-Z0-9]+$", re.MULTILINE)
_POD_RULE = re.compile(rf'--comment "name: \\"{names.NETWORK_NAME}\\" id: .* -j (CNI-[0-9a-f]+)$')


def cgroups(name: str = names.CGROUP) -> list[Path]:
    """A cluster's cgroup in every hierarchy (there are many in version 1, one in version 2)."""
    folders = [_CGROUPS, *(path for path in _CGROUPS.iterdir() if path.is_dir() and not path.is_symlink())]
    return [folder / name for folder in folders if (folder / "cgroup.procs").exists()]


def make_cgroups() -> None:
    """Make the platform's cgroup, under which the kubelet puts the pods'."""
    for cgroup in cgroups():
        cgroup.mkdir(exist_ok=True)


def _members(name: str) -> set[int]:
    pids: set[int] = set()
    for cgroup in cgroups(name):
        for file in cgroup.rglob("cgroup.procs"):
            try:
                pids.update(int(line) for line in file.read_text().split())
            except OSError:
                continue  # the cgroup went meanwhile
    return pids


def _remove_cgroups(name: str) -> str:
    """Remove the cgroups; says which are still in use."""
    for cgroup in cgroups(name):
        if not cgroup.exists():
            continue
        for folder, _, _ in os.walk(cgroup, topdown=False):
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                pass
            except OSError as error:
                return f"{folder}: {error.strerror}"
    return ""


def shims(containerd_socket: Path) -> list[ProcessRecord]:
    """The processes that hold a node's containers for its containerd."""
    seen = (observe(pid) for pid in pids() if str(containerd_socket) in arguments(pid))
    return [one for one in seen if one is not None and Path(one.executable).name.startswith("containerd-shim")]


def end_containers(containerd_socket: Path, cgroup: str = names.CGROUP) -> None:
    """End every container and its shim, at once. The shims go first: they would report, and containerd is gone."""
    for shim in shims(containerd_socket):
        end(shim, grace_seconds=0, first=signal.SIGKILL)

    def remaining() -> str:
        pids = _members(cgroup)
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return f"containers' processes {sorted(pids)} still run" if pids else ""

    wait_until(remaining, what="ending containers", timeout=30)
    wait_until(lambda: _remove_cgroups(cgroup), what="removing cgroups", timeout=30)


def mounts_under(folders: Iterable[Path], table: str | None = None) -> list[str]:
    """Mount points in or under the folders, the latest first (/proc/self/mountinfo, proc(5))."""
    text = Path("/proc/self/mountinfo").read_text() if table is None else table
    prefixes = [str(folder) for folder in folders]
    points = [re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), line.split()[4]) for line in text.splitlines()]
    return [p for p in reversed(points) if any(p == prefix or p.startswith(f"{prefix}/") for prefix in prefixes)]


def unmount(folders: Iterable[Path], runner: Runner) -> None:
    """Unmount everything under the folders. Raises ClusterError if something stays."""
    folders = list(folders)
    if points := mounts_under(folders):
        # Lazily: a user's process whose working folder is in one of them must not keep the cluster from ending.
        runner(["umount", "--lazy", "--no-canonicalize", "--", *points], timeout=120)
    if left := mounts_under(folders):
        raise ClusterError(f"still mounted: {', '.join(left[:5])}")


def remove_tree(folder: Path) -> None:
    """Delete a folder. Raises ClusterError, and deletes nothing, if anything is mounted in it.

    A pod's volume is mounted there: deleting through the mount would delete the products.
    """
    if left := mounts_under([folder]):
        raise ClusterError(f"{folder} is not deleted: still mounted: {', '.join(left[:5])}")
    if folder.is_symlink():
        raise ClusterError(f"{folder} is not deleted: it is a symbolic link")
    if folder.exists():
        shutil.rmtree(folder)


def chain_removal(saved: str) -> str:
    """What iptables-restore needs to remove the chains of Kubernetes and of the pods' network from one table.

    `saved` is the output of iptables-save for that table. Empty if there is nothing to remove.
    """
    lines = saved.splitlines()
    chains = {found[1] for line in lines if (found := _KUBERNETES_CHAIN.match(line))}
    chains |= {found[1] for line in lines if (found := _POD_RULE.search(line))}
    if not chains:
        return ""
    table = next(line for line in lines if line.startswith("*"))
    jumps: list[str] = []
    for line in lines:
        words = line.split()
        if words[:1] == ["-A"] and words[1] not in chains and chains & set(words):
            jumps.append(f"-D{line.removeprefix('-A')}")
    declared = [f":{chain} - [0:0]" for chain in sorted(chains)]
    return "\n".join([table, *declared, *jumps, *(f"-X {chain}" for chain in sorted(chains)), "COMMIT", ""])


def remove_chains(runner: Runner) -> None:
    """Remove the packet filter's chains of Kubernetes and of the pods' network."""
    for command in ("iptables", "ip6tables"):
        for table in _TABLES:
            try:
                saved = runner([f"{command}-save", "-t", table])
            except ClusterError:
                continue  # a kernel without that table has no chains in it
            if removal := chain_removal(saved):
                runner([f"{command}-restore", "--noflush", "--wait", "30"], stdin=removal)


def remove_address_sets(runner: Runner) -> None:
    """Remove the sets of pods' addresses that the chains of network policies have used."""
    try:
        names = runner(["ipset", "list", "-name"])
    except ClusterError:
        return  # without the program, or the kernel's part of it, there are none
    for found in _ADDRESS_SET.finditer(names):
        runner(["ipset", "destroy", found[0]])


def remove_shim_sockets(containerd_state: Path) -> None:
    """Remove the sockets of a containerd's shims, which are outside its own folders (containerd fixes their place)."""
    for file in containerd_state.glob("io.containerd.runtime.v2.task/*/*/address"):
        address = file.read_text().strip()
        if address.startswith("unix:///run/containerd/s/"):
            Path(address.removeprefix("unix://")).unlink(missing_ok=True)
    remove_if_empty(_SHARED_FOLDERS)


def remove_if_empty(folders: Iterable[str]) -> None:
    """Remove the folders that are there and not in use by others."""
    for folder in folders:
        try:
            os.rmdir(folder)
        except OSError:
            continue


def remove_scattered_files(settings: Settings) -> None:
    """Remove the few files that are kept in fixed places: CNI's results, and the kubelet's links to the pods' logs."""
    remove_shim_sockets(settings.runtime / "containerd")
    for result in Path("/var/lib/cni/results").glob("*"):
        if str(settings.runtime) in result.read_text():  # the path of the pod's network namespace
            result.unlink(missing_ok=True)
    for link in Path("/var/log/containers").glob("*.log"):
        if link.is_symlink() and str(settings.state) in os.readlink(link):
            link.unlink(missing_ok=True)
    remove_if_empty(_SHARED_FOLDERS)
