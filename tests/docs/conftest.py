"""The repository's Markdown documents, and what is written in their fenced blocks."""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
_FOLDERS = ("airflow_dags", "charts", "crds", "docs", "e2e", "manifests", "modules", "operator", "tests")
_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<content>.*?)^```$", re.MULTILINE | re.DOTALL)

Fenced = Callable[[str, str], list[str]]

# The modules' product library, as in their images.
if str(REPOSITORY / "modules") not in sys.path:
    sys.path.insert(0, str(REPOSITORY / "modules"))


def _read() -> dict[str, str]:
    paths = [*REPOSITORY.glob("*.md"), *(path for folder in _FOLDERS for path in (REPOSITORY / folder).rglob("*.md"))]
    return {str(path.relative_to(REPOSITORY)): path.read_text() for path in sorted(paths)}


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def documents() -> Mapping[str, str]:
    """Path in the repository to text."""
    return _read()


@pytest.fixture(scope="session")
def fenced(documents: Mapping[str, str]) -> Fenced:
    """The fenced blocks of a document in a language."""

    def blocks(document: str, language: str) -> list[str]:
        return [found["content"] for found in _FENCE.finditer(documents[document]) if found["language"] == language]

    return blocks
