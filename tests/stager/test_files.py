"""Opening what a module or a volume holds: whose fault it is if that fails."""

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from plato_sas.stager.files import NotAFile, open_regular
from tests.support.pod import Pod


def failing(name: str, code: int) -> Callable[..., int]:
    """os.open on a volume on which one file cannot be opened."""
    real = os.open

    def opened(path: str | os.PathLike[str], *rest: int, **named: int) -> int:
        if os.path.basename(path) == name:
            raise OSError(code, os.strerror(code), os.fspath(path))
        return real(path, *rest, **named)

    return opened


def test_a_regular_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    with open(open_regular(tmp_path / "f"), "rb") as file:
        assert file.read() == b"x"


def link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


@pytest.mark.parametrize("plant", [link, unix_socket, os.mkfifo, Path.mkdir])
def test_anything_else_is_no_file(tmp_path: Path, plant: Callable[[Path], None]) -> None:
    plant(tmp_path / "f")
    with pytest.raises(NotAFile, match=r"^f "):
        open_regular(tmp_path / "f")


def test_a_path_through_a_file_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    with pytest.raises(NotAFile):
        open_regular(tmp_path / "f/deeper")


def test_a_file_that_may_not_be_read_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Tests may run as root, who may read everything.
    monkeypatch.setattr(os, "open", failing("f", errno.EACCES))
    with pytest.raises(NotAFile, match="Permission denied"):
        open_regular(tmp_path / "f")


TROUBLE = pytest.mark.parametrize("code", [errno.ESTALE, errno.EIO, errno.EMFILE])


@TROUBLE
def test_trouble_with_the_volume_is_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(os, "open", failing("f", code))
    with pytest.raises(OSError, match="f") as error:
        open_regular(tmp_path / "f")
    assert error.value.errno == code


@TROUBLE
def test_trouble_with_the_volume_is_no_fault_of_an_input(pod: Pod, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    monkeypatch.setattr(os, "open", failing("lc.h5", code))
    with pytest.raises(OSError, match=r"lc\.h5") as error:
        pod.begin()
    assert error.value.errno == code


@TROUBLE
@pytest.mark.parametrize("name", ["OUT.h5", "facts.json"])
def test_trouble_with_the_volume_is_no_fault_of_an_output(
    pod: Pod, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    stage = pod.begin()
    (pod.out(stage) / "OUT.h5").write_bytes(b"x")
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", failing(name, code))
        with pytest.raises(OSError, match=name) as error:
            pod.publish(stage)
    assert error.value.errno == code
    assert pod.visible() == []
