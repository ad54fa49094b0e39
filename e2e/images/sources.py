"""The images of the repository, and of folders with modules elsewhere, found by their Dockerfiles."""

import hashlib
import os
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from e2e.images.dockerfile import Dockerfile, parse
from e2e.layout import REPOSITORY

VERSION = "0.1.0"
PREFIX = "localhost/plato-sas/"
DEBIAN = "debian:bookworm-slim"
ELSEWHERE = "PLATO_SAS_MODULES"
"""Environment variable: folders with further modules, as in PATH. They share this checkout's bases and caches."""

# Changing it rebuilds everything: raise it when the way images are built changes what is in them.
_BUILD_FORMAT = "1"


@dataclass(frozen=True)
class Image:
    """One image. A `base` is only built upon: it has no archive."""

    name: str
    dockerfile: Path
    context: Path
    base: bool
    parsed: Dockerfile

    @property
    def reference(self) -> str:
        """Its full name."""
        return f"{PREFIX}{self.name}:{VERSION}"

    def own_bases(self) -> list[str]:
        """Names of the project's images it is built on. Raises `ValueError` on another version."""
        names = []
        for base in self.parsed.bases:
            if base.startswith(PREFIX):
                name, _, version = base.removeprefix(PREFIX).partition(":")
                if version != VERSION:
                    raise ValueError(f"{self.dockerfile}: FROM {base}: the project's images have version {VERSION}")
                names.append(name)
        return names


def find(repository: Path = REPOSITORY) -> dict[str, Image]:
    """All images by name, each after those it is built on. Raises `ValueError` on unknown bases and repeated names."""
    modules = repository / "modules"
    found = [_image(path, modules, base=True) for path in modules.glob("base/*/Dockerfile")]
    found += [_image(path, modules, base=False) for path in modules.glob("*/Dockerfile")]
    found += [_image(path, repository, base=False) for path in repository.glob("operator/images/*/Dockerfile")]
    for folder in _elsewhere():
        found += [_image(path, folder, base=False) for path in folder.glob("*/Dockerfile")]
    images: dict[str, Image] = {}
    for image in found:
        if image.name in images:
            raise ValueError(f"{image.dockerfile}: {images[image.name].dockerfile} is an image of this name already")
        images[image.name] = image
    graph = {name: images[name].own_bases() for name in sorted(images)}
    for name, bases in graph.items():
        if unknown := [base for base in bases if base not in images]:
            raise ValueError(f"{images[name].dockerfile}: FROM {PREFIX}{unknown[0]}: no image of this name")
    return {name: images[name] for name in TopologicalSorter(graph).static_order()}


def with_bases(images: dict[str, Image], names: list[str]) -> dict[str, Image]:
    """The named images and their bases, in building order. Raises `ValueError` on an unknown name."""
    if unknown := [name for name in names if name not in images]:
        raise ValueError(f"no image named {unknown[0]!r} (there are {', '.join(images)})")
    wanted = set(names)
    for name, image in reversed(images.items()):
        if name in wanted:
            wanted.update(image.own_bases())
    return {name: image for name, image in images.items() if name in wanted}


def fingerprints(images: dict[str, Image], debian: str) -> dict[str, str]:
    """For each image a SHA-256 over all that goes into it: Dockerfile, copied files, bases, the Debian root.

    `images` must be in building order and complete. Raises `ValueError` on a source that is not there.
    """
    result: dict[str, str] = {}
    for name, image in images.items():
        digest = hashlib.sha256(_BUILD_FORMAT.encode())
        _add_file(digest, "Dockerfile", image.dockerfile)
        for base in image.parsed.bases:
            digest.update(base.encode())
        for base in image.own_bases():
            digest.update(result[base].encode())
        if DEBIAN in image.parsed.bases:
            digest.update(debian.encode())
        for source in image.parsed.sources:
            for path in _files(image, source):
                _add_file(digest, str(path.relative_to(image.context)), path)
        result[name] = digest.hexdigest()
    return result


def _elsewhere() -> list[Path]:
    folders = [Path(one).expanduser().resolve() for one in os.environ.get(ELSEWHERE, "").split(os.pathsep) if one]
    for folder in folders:
        if next(folder.glob("*/Dockerfile"), None) is None:
            raise ValueError(f"{ELSEWHERE}: {folder} has no folder with a Dockerfile")
    return folders


def _image(dockerfile: Path, context: Path, *, base: bool) -> Image:
    return Image(dockerfile.parent.name, dockerfile, context, base, parse(dockerfile))


def _files(image: Image, source: str) -> list[Path]:
    matches = sorted(image.context.glob(source))
    if not matches:
        raise ValueError(f"{image.dockerfile}: source {source!r} is not in {image.context}")
    paths = [path for match in matches for path in ([match] if match.is_file() else sorted(match.rglob("*")))]
    return [path for path in paths if path.is_file() and "__pycache__" not in path.parts]


def _add_file(digest: "hashlib._Hash", name: str, path: Path) -> None:
    executable = bool(path.stat().st_mode & 0o100)
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    digest.update(f"{name}\0{executable}\0{content}\n".encode())
