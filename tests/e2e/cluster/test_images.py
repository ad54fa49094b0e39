from pathlib import Path

import pytest

from e2e.cluster import images
from e2e.cluster.archives import images_in, write_program_image
from e2e.cluster.errors import ClusterError
from e2e.cluster.settings import Settings
from tests.support.scripted_runner import ScriptedRunner

NAME = "localhost/plato-sas/it:0.1.0"
HEADER = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n"
SETTINGS = Settings("198.51.100.1")


def line(name: str, digest: str, label: str = "io.cri-containerd.image=managed") -> str:
    return f"{name} application/vnd.oci.image.manifest.v1+json {digest} 1.4 MiB linux/amd64 {label}\n"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    (tmp_path / "program").write_bytes(b"\x7fELF")
    write_program_image(tmp_path / "it.tar", tmp_path / "program", reference=NAME)
    return tmp_path / "it.tar"


def test_only_names_that_the_kubelet_finds_are_listed() -> None:
    listing = (
        HEADER
        + line(NAME, "sha256:1")
        + line("localhost/other:1", "sha256:2", "-")
        + line("sha256:3", "sha256:4")
        + line("localhost/plato-sas/it@sha256:1", "sha256:1")
    )
    assert images.parse_listing(listing) == {NAME: "sha256:1", "localhost/plato-sas/it@sha256:1": "sha256:1"}


def test_an_image_that_the_node_has_is_not_imported_again(archive: Path, runner: ScriptedRunner) -> None:
    (image,) = images_in(archive)
    runner.answers[("ls",)] = HEADER + line(NAME, image.digest) + line(image.pinned, image.digest)
    assert images.load(SETTINGS, [archive], runner) == {image: False}
    assert runner.having("import") == []


def test_another_digest_of_that_name_is_replaced(archive: Path, runner: ScriptedRunner) -> None:
    (image,) = images_in(archive)
    whole = HEADER + line(NAME, image.digest) + line(image.pinned, image.digest)
    listings = [HEADER + line(NAME, "sha256:old"), HEADER + line(NAME, image.digest), whole]

    def answer(command: list[str], *, stdin: str = "", timeout: float = 60) -> str:
        runner(command)
        return listings.pop(0) if "ls" in command else ""

    assert images.load(SETTINGS, [archive], answer) == {image: True}
    (imported,) = runner.having("import")
    assert imported[:5] == ["ctr", "--address", "/run/plato-sas/containerd.sock", "--namespace", "k8s.io"]
    assert imported[-1] == str(archive)
    assert [command[-2:] for command in runner.having("tag")] == [[NAME, image.pinned]]
    assert listings == [], "it did not wait until the kubelet finds the image"


def test_a_bad_archive_stops_before_anything_is_loaded(archive: Path, runner: ScriptedRunner, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"absent\.tar: no such file"):
        images.load(SETTINGS, [archive, tmp_path / "absent.tar"], runner)
    assert runner.commands == []
