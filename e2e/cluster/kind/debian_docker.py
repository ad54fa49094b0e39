"""Docker's programs, from Debian's package without installing it: an installed engine starts with the machine."""

import shutil
from pathlib import Path

from e2e.cluster.commands import Runner
from e2e.cluster.errors import ClusterError
from e2e.progress import phase
from e2e.setup.prerequisites import SEARCH_PATH

PACKAGE = "docker.io"
# Packages that it depends on and that a small Debian may lack; the engine brings neither.
_NEEDED = ("containerd", "containerd-shim-runc-v2", "runc")


def programs(folder: Path, runner: Runner) -> None:
    """Have docker, dockerd and docker-proxy in `folder`. Raises ClusterError."""
    if missing := [name for name in _NEEDED if shutil.which(name, path=SEARCH_PATH) is None]:
        raise ClusterError(f"missing: {', '.join(missing)}; run: CLUSTER=kind python -m e2e.setup.prerequisites")
    if (folder / "usr/sbin/dockerd").exists():
        return
    partial = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with phase(f"Debian package {PACKAGE}"):
        try:
            _download(partial, runner)
            (package,) = partial.glob("*.deb")
            runner(["dpkg-deb", "--extract", str(package), str(partial)], timeout=120)
            package.unlink()
            runner([str(partial / "usr/sbin/dockerd"), "--version"])
            partial.replace(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _download(folder: Path, runner: Runner) -> None:
    # As the folder is the checkout's, apt's own user may not be able to write there: then root does, and apt warns.
    command = ["env", "--chdir", str(folder), "apt-get", "download", "--quiet", PACKAGE]
    try:
        runner(command, timeout=300)
    except ClusterError:
        runner(["apt-get", "update", "--quiet"], timeout=300)  # lists that are missing, or older than the archive
        runner(command, timeout=300)
