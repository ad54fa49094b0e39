"""CONTRIBUTING leads to the code, each top folder says what it is, and the documents stay short."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

_CONTRIBUTING = "CONTRIBUTING.md"
_FOLDERS = ("airflow_dags", "charts", "crds", "docs", "e2e", "manifests", "modules", "operator", "tests")
_MOST_WORDS = 24_000
_WRITTEN_BY_PROGRAMS = re.compile(r"<!-- (generated|results).*?<!-- (generated|end of results).*?-->", re.DOTALL)


def rows(text: str) -> list[tuple[str, str, str]]:
    """What to change, the first file named for it, and what to look for there."""
    table = text.partition("### Where to change what")[2].partition("\n## ")[0]
    found = re.findall(r"^\| ([^|]+) \| `([^`]+)`[^|]*\| `([^`]+)`[^|]*\|$", table, re.MULTILINE)
    assert len(found) == table.count("\n| ") - 1, "each row names a file and a symbol"
    return found


def test_the_map_leads_to_what_it_names(repository: Path, documents: Mapping[str, str]) -> None:
    """By the file's name below its top folder: rooms may be rearranged, the map's symbols have to be found."""
    for wish, file, symbol in rows(documents[_CONTRIBUTING]):
        path = Path(file)
        files = list((repository / path.parts[0]).rglob(path.name))
        assert any(symbol in one.read_text() for one in files), f"{wish}: no {symbol} in {file}"


def test_the_map_answers_what_strangers_ask(documents: Mapping[str, str]) -> None:
    wishes = " ".join(wish for wish, _, _ in rows(documents[_CONTRIBUTING]))
    for asked in ("pause between retries", "column of `kubectl get sp`", "size of a batch", "Job is deleted by hand"):
        assert asked in wishes


@pytest.mark.parametrize("thing", ["module", "retry class", "field of a resource", "metric", "Airflow operator"])
def test_there_are_steps_to_add(documents: Mapping[str, str], thing: str) -> None:
    section = re.search(rf"^## Add an? {thing}\n(.*?)(?=^## )", documents[_CONTRIBUTING], re.MULTILINE | re.DOTALL)
    assert section
    assert section[1].count("\n1. ") == 1


@pytest.mark.parametrize("folder", _FOLDERS)
def test_each_top_folder_says_what_it_is(documents: Mapping[str, str], folder: str) -> None:
    text = documents[f"{folder}/README.md"]
    assert len(text.splitlines()) <= 30
    assert "Begin with" in text


def test_the_documents_stay_short(documents: Mapping[str, str]) -> None:
    """Generated pages and tables do not count: nobody writes them, and nobody reads them through."""
    own = {path for path in documents if path == "README.md" or path.startswith("docs/")}
    prose = {path for path in own if not path.startswith("docs/reference/")}
    assert sum(len(_WRITTEN_BY_PROGRAMS.sub("", documents[path]).split()) for path in prose) <= _MOST_WORDS
