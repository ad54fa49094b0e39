"""The product tree as the suite sees it."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.chaos.tree import TreeWatch, folders


def publish(campaign: Path, step: str = "one", attempt: str = "star-one-1", content: bytes = b"product") -> Path:
    """A published step, made aside and renamed into place."""
    made = campaign / "star" / ".attempts" / attempt
    made.mkdir(parents=True)
    (made / "IDP.h5").write_bytes(content)
    output = {"path": "IDP.h5", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest = {"digest": "d", "attemptId": attempt, "outputs": {"IDP": output}}
    (made / "manifest.json").write_text(json.dumps(manifest))
    target = campaign / "star" / step
    if target.exists():
        target.rename(campaign / "star" / ".attempts" / "old")
    os.rename(made, target)
    return target


def _append(folder: Path) -> None:
    with (folder / "IDP.h5").open("ab") as file:
        file.write(b"x")


def _link(folder: Path) -> None:
    (folder / "IDP.h5").rename(folder.parent / ".aside")
    (folder / "IDP.h5").symlink_to(folder.parent / ".aside")


HARM: dict[str, Callable[[Path], object]] = {
    "has no readable manifest.json": lambda folder: (folder / "manifest.json").unlink(),
    "output IDP: No such file": lambda folder: (folder / "IDP.h5").unlink(),
    "output IDP has 8 bytes, not 7": _append,
    "output IDP has SHA-256": lambda folder: (folder / "IDP.h5").write_bytes(b"another"),
    "output IDP is no regular file": _link,
    "extra is not in the manifest": lambda folder: (folder / "extra").touch(),
}


def test_whole_products_have_no_trouble_and_hidden_ones_are_not_looked_at(tmp_path: Path) -> None:
    publish(tmp_path)
    (tmp_path / "star" / ".attempts" / "half").mkdir()
    (tmp_path / ".archive").mkdir()
    (found,) = folders(tmp_path)
    assert (found.star, found.step, found.digest, found.trouble) == ("star", "one", "d", "")
    assert folders(tmp_path / "none") == ()


@pytest.mark.parametrize("trouble", HARM)
def test_a_harmed_product_is_told(tmp_path: Path, trouble: str) -> None:
    HARM[trouble](publish(tmp_path))
    (found,) = folders(tmp_path)
    assert trouble in found.trouble


def _wait(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_each_publication_is_counted_even_of_equal_content(tmp_path: Path) -> None:
    with TreeWatch(tmp_path) as watch:
        publish(tmp_path, attempt="star-one-1")
        _wait(lambda: len(watch.publications) == 1)
        publish(tmp_path, attempt="star-one-2")
        _wait(lambda: len(watch.publications) == 2)
        publish(tmp_path, step="two", attempt="star-two-1")
    assert [one.step for one in watch.publications] == ["one", "one", "two"]
    assert len({one.identity for one in watch.publications}) == 3
    assert watch.glimpses == ()


def test_a_product_that_was_half_for_a_moment_is_remembered(tmp_path: Path) -> None:
    with TreeWatch(tmp_path) as watch:
        folder = tmp_path / "star" / "one"
        folder.mkdir(parents=True)
        _wait(lambda: bool(watch.glimpses))
        folder.rmdir()
    assert [one.step for one in watch.glimpses] == ["one"]
