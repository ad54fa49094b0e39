"""Every relative link leads to a file, and its fragment to a heading of that file."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (?P<text>.+)$", re.MULTILINE)


def links(text: str) -> Iterator[str]:
    """The targets of the links outside of code."""
    prose = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text))
    for found in _LINK.finditer(prose):
        if not found["target"].startswith(("http://", "https://", "mailto:")):
            yield found["target"]


def anchors(text: str) -> set[str]:
    """The fragments that GitHub gives the headings."""
    headings = [found["text"] for found in _HEADING.finditer(_FENCE.sub("", text))]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_relative_links_resolve(repository: Path, documents: Mapping[str, str]) -> None:
    broken = []
    for document, text in documents.items():
        for target in links(text):
            path, _, fragment = target.partition("#")
            file = (repository / document).parent / path if path else repository / document
            if not file.exists():
                broken.append(f"{document}: {target}: no such file")
            elif fragment and fragment not in anchors(file.read_text()):
                broken.append(f"{document}: {target}: no such heading")
    assert broken == []


def test_the_documents_name_each_other(documents: Mapping[str, str]) -> None:
    """No document of docs/ can be reached from nowhere."""
    linked = {target.partition("#")[0].rpartition("/")[2] for text in documents.values() for target in links(text)}
    unlinked = [path for path in documents if path.startswith("docs/") and path.rpartition("/")[2] not in linked]
    assert unlinked == []


def test_no_path_of_a_machine_is_written_down(documents: Mapping[str, str]) -> None:
    own = re.compile(r"(?<![\w.])/(work|home|root|Users)/\w")
    assert [path for path, text in documents.items() if own.search(text)] == []


def test_links_are_found_and_headings_named_as_on_github() -> None:
    assert list(links("[a](b.md#c) `[x](y)`\n```\n[no](no.md)\n```\n[w](https://e.org)")) == ["b.md#c"]
    assert anchors("# 4.6 Product tree (normative)\n## What `make` says, and not") == {
        "46-product-tree-normative", "what-make-says-and-not"
    }  # fmt: skip
