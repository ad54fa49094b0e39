"""What the builder reads out of a Dockerfile."""

from pathlib import Path

import pytest

from e2e.images.dockerfile import parse


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "Dockerfile"
    path.write_text(text)
    return path


def test_bases_are_images_and_not_stages(tmp_path: Path) -> None:
    text = "FROM a:1 AS build\nFROM --platform=linux/amd64 b:2\nFROM build\nFROM scratch\n"
    assert parse(write(tmp_path, text)).bases == ("a:1", "b:2")


def test_sources_of_copy_and_add(tmp_path: Path) -> None:
    text = """FROM a
# COPY commented out
COPY one two \\
     # a comment between
     three /dest/
COPY --chown=1:1 ["with space", "/dest"]
COPY --from=build /opt /opt
ADD four /
RUN echo COPY this /not
"""
    assert parse(write(tmp_path, text)).sources == ("one", "two", "three", "with space", "four")


@pytest.mark.parametrize("source", ["https://example.org/x.tar", "$WHERE", "/etc/passwd", "../outside"])
def test_a_source_that_cannot_be_followed_is_refused(tmp_path: Path, source: str) -> None:
    with pytest.raises(ValueError, match="cannot follow the source"):
        parse(write(tmp_path, f"FROM a\nCOPY {source} /x\n"))
