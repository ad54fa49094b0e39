"""Text from outside, made fit to be shown."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plato_sas.text import printable, reason_word


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        ("plain µHz\n\tline", "plain µHz\n\tline"),
        ("\x1b[31mERROR\x1b[0m", "\\x1b[31mERROR\\x1b[0m"),
        ("nul \x00 and \x85", "nul \\x00 and \\x85"),
        ("a\u202ecba", "a\\u202ecba"),
        ("lone \udce9", "lone \\udce9"),
        ("tag \U000e0041", "tag \\U000e0041"),
        ("  1%|\r 50%|\r100%|\nERROR no light curve\r\n", "100%|\nERROR no light curve\n"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(given_text: str, shown: str) -> None:
    assert printable(given_text) == shown


@given(st.text(st.characters()))
def test_any_text_becomes_safe_once(text: str) -> None:
    shown = printable(text)
    assert shown.encode().decode() == shown
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("given_text", "word"),
    [
        ("OOMKilled", "OOMKilled"),
        ("OutOfephemeral-storage", "OutOfephemeralStorage"),
        ("OutOfnvidia.com/gpu", "OutOfnvidiaComGpu"),
        ("failed mount: disk", "FailedMountDisk"),
        ("404", "Unknown"),
        ("", "Unknown"),
        ("A" * 200, "A" * 64),
    ],
)
def test_a_reason_is_one_word(given_text: str, word: str) -> None:
    assert reason_word(given_text) == word


@given(st.text(st.characters()))
def test_any_reason_fits_a_condition(text: str) -> None:
    assert re.fullmatch(r"[A-Z][A-Za-z0-9]{0,63}", reason_word(text))
