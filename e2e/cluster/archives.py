"""OCI image archives: what is in one, and how one is made of a single static program.

Format: the OCI image specification's image layout (image-layout.md) in a tar file.
"""

import gzip
import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from e2e.cluster.errors import ClusterError

_REFERENCE = "org.opencontainers.image.ref.name"
_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_INDEX_LIMIT = 1 << 20


@dataclass(frozen=True)
class ArchivedImage:
    """One image of an archive."""

    reference: str
    """The full name, such as localhost/plato-sas/operator:0.1.0."""
    digest: str
    """Of its manifest."""

    @property
    def pinned(self) -> str:
        """The name that means this very content, as a ScienceModule should use it."""
        return f"{self.reference.rpartition(':')[0]}@{self.digest}"


def images_in(archive: Path) -> list[ArchivedImage]:
    """What the OCI archive holds. Raises ClusterError if it is none, or if an image in it has no full name."""
    try:
        with tarfile.open(archive) as tar:
            member = next((m for m in tar if m.name.removeprefix("./") == "index.json"), None)
            file = tar.extractfile(member) if member is not None else None
            if file is None:
                raise ClusterError(f"{archive}: no OCI archive: it has no index.json")
            manifests: list[dict[str, Any]] = json.loads(file.read(_INDEX_LIMIT))["manifests"]
            found = [ArchivedImage(m.get("annotations", {}).get(_REFERENCE, ""), m["digest"]) for m in manifests]
    except FileNotFoundError as error:
        raise ClusterError(f"{archive}: no such file") from error
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ClusterError(f"{archive}: no OCI archive: {error}") from error
    if not found:
        raise ClusterError(f"{archive}: holds no image")
    for image in found:
        # Without a registry in its name containerd would keep it under a made-up one, where no pod finds it.
        registry, slash, rest = image.reference.partition("/")
        if not slash or ":" not in rest or not (registry == "localhost" or "." in registry or ":" in registry):
            raise ClusterError(
                f"{archive}: the image is named {image.reference!r}; a full name is needed, such as "
                f"localhost/plato-sas/operator:0.1.0 (buildah push IMAGE oci-archive:FILE:NAME)"
            )
    return found


@dataclass(frozen=True)
class Layer:
    """A root file system."""

    content: bytes
    media_type: str
    diff_id: str
    """Digest of the uncompressed tar (OCI image configuration)."""

    @classmethod
    def of(cls, tar: bytes, *, compress: bool = False) -> Self:
        digest = f"sha256:{hashlib.sha256(tar).hexdigest()}"
        if not compress:
            return cls(tar, _LAYER, digest)
        return cls(gzip.compress(tar, compresslevel=1, mtime=0), f"{_LAYER}+gzip", digest)


def write_program_image(archive: Path, program: Path, *, reference: str, arguments: Sequence[str] = ()) -> None:
    """Make the image whose root holds one static program and nothing else, to be run as nobody (65534)."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        entry = tarfile.TarInfo(program.name)
        entry.size, entry.mode = program.stat().st_size, 0o755
        with program.open("rb") as binary:
            tar.addfile(entry, binary)
    config = {"Entrypoint": [f"/{program.name}"], "Cmd": list(arguments), "User": "65534:65534"}
    write_image(archive, Layer.of(layer.getvalue()), references=[reference], config=config)


def write_image(archive: Path, layer: Layer, *, references: Sequence[str], config: Mapping[str, Any]) -> None:
    """Make an archive of one image of one layer, under all these names. `config` is what containers of it run."""
    blobs: dict[str, bytes] = {}

    def add(content: bytes, media_type: str) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[digest] = content
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    layer_descriptor = add(layer.content, layer.media_type)
    configuration = {
        "architecture": _MACHINES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": add(json.dumps(configuration).encode(), _CONFIG),
        "layers": [layer_descriptor],
    }
    described = add(json.dumps(manifest).encode(), _MANIFEST)
    named = [described | {"annotations": {_REFERENCE: reference}} for reference in references]
    index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": named}
    files = {
        "oci-layout": json.dumps({"imageLayoutVersion": "1.0.0"}).encode(),
        "index.json": json.dumps(index).encode(),
        **{f"blobs/sha256/{digest}": content for digest, content in blobs.items()},
    }
    archive.parent.mkdir(parents=True, exist_ok=True)
    partial = archive.with_name(f".{archive.name}.new")
    with tarfile.open(partial, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    partial.replace(archive)
