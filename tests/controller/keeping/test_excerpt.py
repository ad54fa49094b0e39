"""The beginning and the end of a text, whatever the blocks in which it comes."""

import re

from hypothesis import given
from hypothesis import strategies as st

from plato_sas.controller.keeping.excerpt import Excerpt

LINES = st.lists(st.binary(min_size=0, max_size=30).map(lambda line: line.replace(b"\n", b" ")), max_size=60)


def excerpt(text: bytes, limit: int, block: int) -> Excerpt:
    made = Excerpt(limit)
    for start in range(0, len(text), block):
        made.add(text[start : start + block])
    return made


@given(LINES, st.integers(min_value=1, max_value=50))
def test_a_short_text_stays_whole(lines: list[bytes], block: int) -> None:
    text = b"".join(line + b"\n" for line in lines)
    assert excerpt(text, max(8, len(text)), block).text() == text


@given(LINES, st.integers(min_value=1, max_value=50), st.integers(min_value=8, max_value=400))
def test_a_long_text_keeps_both_ends_and_tells_what_is_missing(lines: list[bytes], block: int, limit: int) -> None:
    text = b"".join(line + b"\n" for line in lines)
    kept = excerpt(text, limit, block).text()
    if len(text) <= limit:
        assert kept == text
        return
    found = re.search(rb"\[\.\.\. (\d+) bytes left out here \.\.\.\]\n", kept)
    assert found is not None
    head, tail = kept[: found.start()], kept[found.end() :]
    assert text.startswith(head.rstrip(b"\n"))
    assert text.endswith(tail)
    assert len(head) <= limit // 4 + 1
    assert len(tail) <= limit - limit // 4
    # A head that ends within a line is given an end, which may be one byte more than there was.
    assert len(head) + len(tail) + int(found[1]) - len(text) in (0, 1)


def test_memory_is_bounded() -> None:
    made = Excerpt(1 << 20)
    for _ in range(4000):
        made.add(b"x" * 65535 + b"\n")
    assert sum(map(len, made._blocks)) + len(made._head) <= (1 << 20) + 65536
    assert made.total == 4000 * 65536


def test_half_lines_are_not_shown() -> None:
    text = b"".join(b"line %06d\n" % number for number in range(1000))
    kept = excerpt(text, 1000, 77).text().splitlines()
    assert kept[0] == b"line 000000"
    assert kept[-1] == b"line 000999"
    assert all(re.fullmatch(rb"line \d{6}|\[\.\.\. \d+ bytes left out here \.\.\.\]", line) for line in kept)
