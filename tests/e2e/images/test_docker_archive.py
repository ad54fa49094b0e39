import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from e2e.cluster.archives import images_in
from e2e.images.docker_archive import convert

NAME = "localhost/plato-sas/it:0.1.0"
CONFIG = b'{"os": "linux"}'


def docker_save(path: Path, layers: dict[str, bytes | str]) -> Path:
    """What `docker save` writes; a text in the place of a layer is a link to another one."""
    with tarfile.open(path, "w") as tar:

        def add(name: str, content: bytes) -> None:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))

        for name, layer in layers.items():
            if isinstance(layer, bytes):
                add(name, layer)
            else:
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = tarfile.SYMTYPE, layer
                tar.addfile(entry)
        add("c.json", CONFIG)
        add("manifest.json", json.dumps([{"Config": "c.json", "RepoTags": [NAME], "Layers": list(layers)}]).encode())
    return path


def blob(archive: Path, digest: str) -> bytes:
    with tarfile.open(archive) as tar:
        file = tar.extractfile(f"blobs/{digest.replace(':', '/')}")
        assert file is not None
        return file.read()


def test_the_archive_has_the_full_name_and_the_manifests_digest(tmp_path: Path) -> None:
    saved = docker_save(tmp_path / "saved", {"a/layer.tar": b"one", "b/layer.tar": b"two"})
    digest = convert(saved, tmp_path / "it.tar", NAME)
    (image,) = images_in(tmp_path / "it.tar")
    assert (image.reference, image.digest) == (NAME, digest)
    manifest = json.loads(blob(tmp_path / "it.tar", digest))
    assert blob(tmp_path / "it.tar", manifest["config"]["digest"]) == CONFIG
    assert [blob(tmp_path / "it.tar", layer["digest"]) for layer in manifest["layers"]] == [b"one", b"two"]
    assert [layer["size"] for layer in manifest["layers"]] == [3, 3]


def test_a_layers_compression_is_named(tmp_path: Path) -> None:
    saved = docker_save(tmp_path / "saved", {"a": b"plain", "b": gzip.compress(b"packed")})
    manifest = json.loads(blob(tmp_path / "it.tar", convert(saved, tmp_path / "it.tar", NAME)))
    assert [layer["mediaType"].rpartition(".")[2] for layer in manifest["layers"]] == ["tar", "tar+gzip"]


def test_a_layer_that_comes_twice_is_one_blob(tmp_path: Path) -> None:
    saved = docker_save(tmp_path / "saved", {"a/layer.tar": b"same", "b/layer.tar": "../a/layer.tar"})
    convert(saved, tmp_path / "it.tar", NAME)
    with tarfile.open(tmp_path / "it.tar") as tar:
        names = tar.getnames()
    assert names.count(f"blobs/sha256/{hashlib.sha256(b'same').hexdigest()}") == 1
    assert len(names) == len(set(names))


def test_the_same_image_has_the_same_digest(tmp_path: Path) -> None:
    saved = docker_save(tmp_path / "saved", {"a": b"one"})
    assert convert(saved, tmp_path / "first.tar", NAME) == convert(saved, tmp_path / "second.tar", NAME)


def test_what_docker_did_not_save_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "other", "w"):
        pass
    with pytest.raises(ValueError, match=r"no manifest\.json"):
        convert(tmp_path / "other", tmp_path / "it.tar", NAME)
