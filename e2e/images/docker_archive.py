"""Converts the output of `docker save` to an OCI archive: one form for every release of Docker, with the full name.

The digest that a cluster knows an image by is that of its manifest. Docker's own archives have none before release 25,
and later ones name the image by its tag alone.
"""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import IO, Any

_OCI = "application/vnd.oci.image"
# By the first bytes: gzip (RFC 1952), Zstandard (RFC 8878).
_COMPRESSION = {b"\x1f\x8b": "+gzip", b"\x28\xb5\x2f\xfd": "+zstd"}
_CHUNK = 1 << 20


def convert(saved: Path, archive: Path, reference: str) -> str:
    """Write the one image that was saved as an OCI archive of that name; returns its digest (``sha256:...``)."""
    with tarfile.open(saved) as source, tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as target:
        (image,) = json.loads(_content(source, "manifest.json").read())
        config = _content(source, image["Config"]).read()
        layers = [_describe(_content(source, name)) for name in image["Layers"]]
        manifest: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": _describe(io.BytesIO(config)) | {"mediaType": f"{_OCI}.config.v1+json"},
            "layers": layers,
        }
        body = json.dumps(manifest).encode()
        entry = _describe(io.BytesIO(body)) | {"mediaType": f"{_OCI}.manifest.v1+json"}
        named = entry | {"annotations": {"org.opencontainers.image.ref.name": reference}}
        index = {"schemaVersion": 2, "mediaType": f"{_OCI}.index.v1+json", "manifests": [named]}
        _add(target, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
        _add(target, "index.json", json.dumps(index).encode())
        for blob in (config, body):
            _add(target, _path(_describe(io.BytesIO(blob))), blob)
        # A layer that comes twice is one blob.
        for path, name in {_path(layer): name for layer, name in zip(layers, image["Layers"], strict=True)}.items():
            _copy(target, path, _content(source, name))
    return str(entry["digest"])


def _content(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    """A file of the archive. Raises `ValueError` if it is not there."""
    try:
        file = archive.extractfile(name)
    except KeyError:
        file = None
    if file is None:
        raise ValueError(f"it has no {name}; was it written by docker save?")
    return file


def _describe(blob: IO[bytes]) -> dict[str, Any]:
    """The descriptor of a blob, as a layer."""
    digest, size, start = hashlib.sha256(), 0, b""
    while chunk := blob.read(_CHUNK):
        start = start or chunk[:4]
        digest.update(chunk)
        size += len(chunk)
    compression = next((name for magic, name in _COMPRESSION.items() if start.startswith(magic)), "")
    return {
        "mediaType": f"{_OCI}.layer.v1.tar{compression}",
        "digest": f"sha256:{digest.hexdigest()}",
        "size": size,
    }


def _path(descriptor: dict[str, Any]) -> str:
    return f"blobs/{descriptor['digest'].replace(':', '/')}"


def _add(target: tarfile.TarFile, name: str, content: bytes) -> None:
    _copy(target, name, io.BytesIO(content))


def _copy(target: tarfile.TarFile, name: str, content: IO[bytes]) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = content.seek(0, io.SEEK_END)
    content.seek(0)
    target.addfile(entry, content)
