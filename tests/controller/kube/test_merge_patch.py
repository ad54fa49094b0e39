"""Patches: what the API server makes of them is what was wanted."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from plato_sas.controller.kube.merge_patch import difference
from tests.support.cluster import _merged

LEAVES = st.none().map(lambda _: "text") | st.booleans() | st.integers(0, 3) | st.lists(st.integers(0, 2), max_size=2)
KEYS = st.sampled_from("abc")
DOCUMENTS = st.recursive(
    st.dictionaries(KEYS, LEAVES, max_size=3),
    lambda inner: st.dictionaries(KEYS, inner | LEAVES, max_size=3),
    max_leaves=12,
)


@given(DOCUMENTS, DOCUMENTS)
def test_a_patch_leads_from_one_document_to_the_other(old: dict[str, Any], new: dict[str, Any]) -> None:
    patched = _merged(old, difference(old, new))
    assert patched == new


@given(DOCUMENTS)
def test_what_is_equal_needs_none(document: dict[str, Any]) -> None:
    assert difference(document, dict(document)) == {}


def test_only_what_changed_is_in_it() -> None:
    old = {"state": "Running", "facts": {"a": {"x": 1}, "b": {"y": 2}}, "steps": [1, 2]}
    new = {"state": "Running", "facts": {"a": {"x": 1}, "c": {"z": 3}}, "steps": [1, 3]}
    assert difference(old, new) == {"facts": {"b": None, "c": {"z": 3}}, "steps": [1, 3]}
