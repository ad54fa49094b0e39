"""Which of the machine's package sources make the Debian root."""

from pathlib import Path

from e2e.images.debian import host_sources


def test_only_sources_of_the_suite_are_used(tmp_path: Path) -> None:
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    texts = {
        "debian.sources": "URIs: http://mirror/debian\nSuites: bookworm bookworm-updates\nComponents: main\n",
        "security.sources": "URIs: http://mirror/debian-security\nSuites: bookworm-security\nComponents: main\n",
        "node.sources": "Types: deb\nURIs: https://example/node\nSuites: nodistro\n",
        "cloud.list": "deb https://example/apt cloud-sdk-bookworm main\n",
        "docker.list": "deb https://example/linux/debian bookworm stable\n",
        "old.list": "# deb http://mirror/debian bookworm main\n",
        "debian.list.save": "deb http://mirror/debian bookworm main\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (tmp_path / "sources.list").write_text("deb http://mirror/debian bookworm main\n")
    assert [path.name for path in host_sources(tmp_path)] == ["sources.list", "debian.sources", "security.sources"]


def test_a_machine_of_another_distribution_has_none(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://archive/ubuntu jammy main\n")
    assert host_sources(tmp_path) == []
