import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from e2e.cluster.archives import images_in, write_program_image
from e2e.cluster.errors import ClusterError

NAME = "localhost/plato-sas/it:0.1.0"


def archive_of(tmp_path: Path, files: dict[str, str]) -> Path:
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content.encode()))
    return path


def index(*names: str | None) -> str:
    manifests = [
        {"digest": f"sha256:{number}", "annotations": {"org.opencontainers.image.ref.name": name} if name else {}}
        for number, name in enumerate(names)
    ]
    return json.dumps({"manifests": manifests})


def test_a_program_becomes_a_valid_image(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    write_program_image(tmp_path / "a.tar", program, reference=NAME, arguments=["x"])
    (image,) = images_in(tmp_path / "a.tar")
    assert image.reference == NAME
    with tarfile.open(tmp_path / "a.tar") as tar:
        blobs = {m.name: tar.extractfile(m).read() for m in tar if m.name.startswith("blobs/")}  # type: ignore[union-attr]
    for name, content in blobs.items():
        assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"
    manifest = json.loads(blobs[f"blobs/sha256/{image.digest.removeprefix('sha256:')}"])
    config = json.loads(blobs[f"blobs/sha256/{manifest['config']['digest'].removeprefix('sha256:')}"])
    assert config["config"]["Entrypoint"] == ["/program"]
    assert config["config"]["User"] == "65534:65534"
    layer = blobs[f"blobs/sha256/{config['rootfs']['diff_ids'][0].removeprefix('sha256:')}"]
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        assert tar.getmember("program").mode == 0o755


def test_the_same_program_gives_the_same_image(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    for name in ("a.tar", "b.tar"):
        write_program_image(tmp_path / name, program, reference=NAME)
    assert images_in(tmp_path / "a.tar") == images_in(tmp_path / "b.tar")


def test_several_images_are_all_named(tmp_path: Path) -> None:
    other = "registry.example.org/it@sha256:abc"
    found = images_in(archive_of(tmp_path, {"./index.json": index(NAME, other)}))
    assert [image.reference for image in found] == [NAME, other]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"manifest.json": "[]"}, "no index.json"),
        ({"index.json": "{"}, "no OCI archive"),
        ({"index.json": "[]"}, "no OCI archive"),
        ({"index.json": '{"manifests": []}'}, "holds no image"),
        ({"index.json": index(None)}, "''; a full name is needed"),
        ({"index.json": index("0.1.0")}, "'0.1.0'; a full name is needed"),
        ({"index.json": index("plato-sas/it:0.1.0")}, "a full name is needed"),
        ({"index.json": index("localhost/plato-sas/it")}, "a full name is needed"),
    ],
)
def test_what_is_no_archive_is_refused_by_name(tmp_path: Path, files: dict[str, str], message: str) -> None:
    path = archive_of(tmp_path, files)
    with pytest.raises(ClusterError, match=message) as raised:
        images_in(path)
    assert str(raised.value).startswith(str(path))


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no archive")
    with pytest.raises(ClusterError, match="no OCI archive"):
        images_in(tmp_path / "text")
    with pytest.raises(ClusterError, match="no such file"):
        images_in(tmp_path / "absent")
