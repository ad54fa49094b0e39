"""The Debian root that stands for ``debian:bookworm-slim`` where nothing can be pulled, by mmdebstrap."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from e2e.processes.command import run_logged

_SUITE = "bookworm"
# As in the official slim image: no manuals, translations or documentation, but the licences.
_SLIM = [
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/info/*",
]
# The certificate folder must be there before it can be mounted over while building.
_INCLUDE = "ca-certificates"
_TIMEOUT = 900.0


def fingerprint() -> str:
    """What the Debian root is made from; a newer package in the archive alone does not change it."""
    digest = hashlib.sha256("\n".join([_SUITE, _INCLUDE, *_SLIM]).encode())
    for source in host_sources():
        digest.update(source.read_bytes())
    return digest.hexdigest()


def make_root(target: Path, log: Path, *, include: Sequence[str] = (_INCLUDE,)) -> None:
    """Write the root with these packages: a tar archive if `target` ends so, else a folder. Raises `CommandFailed`."""
    command = ["mmdebstrap", "--variant=minbase", f"--include={','.join(include)}"]
    command += [f"--dpkgopt={option}" for option in _SLIM]
    command += [_SUITE, str(target), *map(str, host_sources())]
    run_logged(command, log, timeout=_TIMEOUT, environment={"SOURCE_DATE_EPOCH": "0"})


def host_sources(folder: Path = Path("/etc/apt")) -> list[Path]:
    """The machine's own package sources of this Debian suite, so that its mirror is used; none elsewhere."""
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    return [file for file in files if file.suffix in (".list", ".sources") and file.is_file() and _is_debian(file)]


def _is_debian(file: Path) -> bool:
    """Whether it names the suite and, unlike other vendors' sources for it, the component main."""
    words = {
        word for line in file.read_text().splitlines() if not line.lstrip().startswith("#") for word in line.split()
    }
    return "main" in words and any(word == _SUITE or word.startswith(f"{_SUITE}-") for word in words)
