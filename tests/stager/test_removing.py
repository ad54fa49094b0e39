"""Removing what a module has left."""

import os
from pathlib import Path

import pytest

from plato_sas.stager.removing import remove


def test_a_file_a_link_a_fifo_and_what_is_not_there(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    (kept / "inner").mkdir(parents=True)
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(kept)
    os.mkfifo(tmp_path / "fifo")
    for name in ("file", "link", "fifo", "nothing", "no/such/folder"):
        remove(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (kept / "inner").is_dir()


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o750)
    (kept / "file").write_text("x")
    folder = tmp_path / "folder"
    (folder / "deep/deeper").mkdir(parents=True)
    for place in (folder, folder / "deep", folder / "deep/deeper"):
        (place / "link").symlink_to(kept)
    remove(folder)
    assert not folder.exists()
    assert (kept / "file").read_text() == "x"
    assert kept.stat().st_mode & 0o777 == 0o750


def test_modes_do_not_keep_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "a/b/c").mkdir(parents=True)
    (folder / "a/b/c/file").write_text("x")
    for place in (folder / "a/b/c", folder / "a/b", folder / "a", folder):
        place.chmod(0)
    remove(folder)
    assert not folder.exists()


def test_folders_nested_deeper_than_a_path_may_be_long(tmp_path: Path) -> None:
    deepest = os.open(tmp_path, os.O_RDONLY)
    for index in range(1200):
        name = "folder" if index == 0 else "x" * 10
        os.mkdir(name, dir_fd=deepest)
        inner = os.open(name, os.O_RDONLY, dir_fd=deepest)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=inner))
        os.close(deepest)
        deepest = inner
    os.close(deepest)
    remove(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_many_files_in_many_folders(tmp_path: Path) -> None:
    for index in range(40):
        inner = tmp_path / "folder" / str(index) / "inner"
        inner.mkdir(parents=True)
        for number in range(50):
            (inner / str(number)).touch()
    remove(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_emptied_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").touch()

    def refused(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "unlink", refused)
    with pytest.raises(OSError, match="Read-only"):
        remove(tmp_path / "folder")
