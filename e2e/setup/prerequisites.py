"""Check, and where it can be done install, what the operating system must provide.

Standard library only: this runs before the project's virtual environment exists.
"""

import argparse
import ctypes.util
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.progress import phase

SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
POLICY = Path("/usr/sbin/policy-rc.d")
DATABASES = Path("/etc/postgresql-common/createcluster.d/plato-sas.conf")
APT_TIMEOUT_SECONDS = 1200


def program(*names: str) -> Callable[[], bool]:
    """A check that every named program is on the path (or in a folder of system programs)."""
    return lambda: all(shutil.which(name, path=SEARCH_PATH) for name in names)


def library(name: str) -> Callable[[], bool]:
    """A check that the linker finds lib<name>."""
    return lambda: ctypes.util.find_library(name) is not None


def cni_plugins() -> bool:
    wanted = ("ptp", "host-local", "loopback")
    folders = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
    return any(all((folder / name).exists() for name in wanted) for folder in folders)


def postgres_programs() -> list[Path]:
    """Folders with PostgreSQL's programs, one for each release: Debian keeps them out of the path."""
    return [initdb.parent for initdb in Path("/usr/lib/postgresql").glob("*/bin/initdb")]


def unless_docker_answers(present: Callable[[], bool]) -> Callable[[], bool]:
    """A check of what is needed only where a Docker engine has to be started."""
    return lambda: present() or docker_answers()


def virtual_environments() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("venv", "ensurepip"))


@dataclass(frozen=True)
class Prerequisite:
    """A Debian package, and a check that what it provides is there, from that package or from elsewhere."""

    package: str
    purpose: str
    present: Callable[[], bool]
    provider: str | None = None
    """The one cluster provider that needs it; None: both."""
    tests: bool = False
    """Whether only tests and benchmarks need it."""


_CONTAINERD = ("containerd", "ctr", "containerd-shim-runc-v2")

PREREQUISITES = (
    Prerequisite("python3-venv", "the project's virtual environment", virtual_environments),
    Prerequisite("chromium", "the test of Airflow's pages", program("chromium"), tests=True),
    Prerequisite("chromium-driver", "the test of Airflow's pages", program("chromedriver"), tests=True),
    Prerequisite(
        "postgresql", "Airflow's database in the test of a whole quarter", lambda: bool(postgres_programs()), tests=True
    ),
    Prerequisite("prometheus", "the tests of the alerts", program("promtool"), tests=True),
    Prerequisite("buildah", "building images from their Dockerfiles", program("buildah")),
    Prerequisite("mmdebstrap", "making the base image that cannot be pulled", program("mmdebstrap")),
    Prerequisite("containerd", "running containers", program(*_CONTAINERD), "local"),
    Prerequisite("runc", "running containers", program("runc"), "local"),
    Prerequisite("containerd", "a Docker engine", unless_docker_answers(program(*_CONTAINERD)), "kind"),
    Prerequisite("runc", "a Docker engine", unless_docker_answers(program("runc")), "kind"),
    Prerequisite("libdevmapper1.02.1", "a Docker engine", unless_docker_answers(library("devmapper")), "kind"),
    Prerequisite("iproute2", "the nodes' network", unless_docker_answers(program("ip")), "kind"),
    Prerequisite("containernetworking-plugins", "the pods' network", cni_plugins, "local"),
    Prerequisite("conntrack", "kube-proxy", program("conntrack"), "local"),
    Prerequisite("iptables", "kube-proxy and the pods' network", program("iptables", "iptables-save"), "local"),
    Prerequisite("ipset", "the pods' network policies", program("ipset"), "local"),
    Prerequisite("iproute2", "the node's address", program("ip"), "local"),
    Prerequisite("mount", "the pods' volumes", program("mount", "umount"), "local"),
    Prerequisite("e2fsprogs", "a products volume that can be filled", program("mkfs.ext4"), "local"),
    Prerequisite("util-linux", "programs of another user that end with the suite", program("setpriv")),
)


class PrerequisiteError(Exception):
    """Something is missing and cannot be installed from here."""


def missing(provider: str, known: Sequence[Prerequisite] = PREREQUISITES, *, tests: bool = False) -> list[Prerequisite]:
    """The prerequisites of `provider` (`kind` or `local`) that this machine lacks; with `tests` also the tests'."""
    wanted = [p for p in known if p.provider in (None, provider) and (tests or not p.tests)]
    return [p for p in wanted if not p.present()]


def docker_answers() -> bool:
    """Whether a Docker engine answers on this machine."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        done = subprocess.run(
            [docker, "info", "--format", "{{.ServerVersion}}"], capture_output=True, text=True, timeout=20
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and bool(done.stdout.strip())


def chosen_provider(wanted: str) -> str:
    """`kind` or `local` for what the user asked: `auto` is kind where a Docker engine answers."""
    if wanted not in ("auto", "kind", "local"):
        raise PrerequisiteError(f"provider (CLUSTER): {wanted!r} is none of auto, kind, local")
    return wanted if wanted != "auto" else ("kind" if docker_answers() else "local")


@contextmanager
def no_service_starts() -> Iterator[None]:
    """Keep packages from starting their services: the platform runs a containerd of its own and needs no second one.

    Debian's packages ask `policy-rc.d` before they start a service (invoke-rc.d(8)). PostgreSQL's would also make a
    database that starts with the machine, unless its settings forbid it (pg_createcluster(1)).
    """
    with _for_now(POLICY, "#!/bin/sh\nexit 101\n"), _for_now(DATABASES, "create_main_cluster = false\n"):
        yield


@contextmanager
def _for_now(file: Path, text: str) -> Iterator[None]:
    """A temporary file of system settings; an administrator's own file is left as it is."""
    if file.exists():
        yield
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)
    try:
        yield
    finally:
        file.unlink()


def install(packages: Sequence[str]) -> None:
    """Install Debian packages. Raises PrerequisiteError with apt's own last lines."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": SEARCH_PATH}
    options = ["-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3"]

    def apt(*arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                ["apt-get", *options, *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=APT_TIMEOUT_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise PrerequisiteError(f"apt-get did not end within {APT_TIMEOUT_SECONDS} s: {error.cmd}") from error

    # An unreachable third-party source fails the update, which need not matter: the installation decides.
    update = apt("update")
    with no_service_starts():
        done = apt("install", "-y", "--no-install-recommends", *packages)
    if done.returncode != 0:
        output = "\n".join(
            (update.stdout if update.returncode else "").splitlines()[-5:] + done.stdout.splitlines()[-15:]
        )
        raise PrerequisiteError(f"apt-get could not install {', '.join(packages)}:\n{output}")


def ensure(provider: str, *, tests: bool = False, check_only: bool = False) -> None:
    """Install what is missing for `provider`. Raises PrerequisiteError where that is not possible."""
    lacking = missing(provider, tests=tests)
    if not lacking:
        return
    listing = "\n".join(f"  {p.package:<28} {p.purpose}" for p in lacking)
    command = f"apt-get install {' '.join(p.package for p in lacking)}"
    if check_only:
        raise PrerequisiteError(f"missing:\n{listing}\nInstall with: {command}")
    if shutil.which("apt-get") is None:
        raise PrerequisiteError(f"missing, and this is no Debian or Ubuntu with apt-get:\n{listing}")
    if os.geteuid() != 0:
        raise PrerequisiteError(f"missing:\n{listing}\nRun this as root, or first: sudo {command}")
    with phase(f"installing {len(lacking)} Debian packages") as running:
        running.detail = ", ".join(p.package for p in lacking)
        install([p.package for p in lacking])
    still = missing(provider, tests=tests)
    if still:
        raise PrerequisiteError(f"installed, yet not found: {', '.join(p.package for p in still)}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m e2e.setup.prerequisites",
        description="Install the Debian packages that the test platform needs and that are missing. "
        "Nothing is fetched where nothing is missing, and no service is started.",
    )
    parser.add_argument(
        "--provider",
        default=os.environ.get("CLUSTER") or "auto",
        help="auto, kind or local (default: $CLUSTER, else auto: kind where a Docker engine answers)",
    )
    parser.add_argument("--check", action="store_true", help="install nothing; exit with 1 if something is missing")
    parser.add_argument("--tests", action="store_true", help="also what only tests and benchmarks need")
    options = parser.parse_args(arguments)
    try:
        provider = chosen_provider(options.provider)
        ensure(provider, tests=options.tests, check_only=options.check)
    except PrerequisiteError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"prerequisites for the {provider} cluster: all there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
