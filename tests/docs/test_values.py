"""Helm values, alerts and roles that the documents name exist."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

_ADMIN = "docs/guides/admin-guide.md"
_CHART = "charts/plato-sas"


@pytest.fixture(scope="session")
def values(repository: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((repository / _CHART / "values.yaml").read_text())
    return content


def missing(given: Mapping[str, Any], known: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """The keys of `given` that `known` does not have; an empty map of defaults may hold anything."""
    for key, value in given.items():
        path = f"{where}{key}"
        if key not in known:
            yield path
        elif isinstance(value, dict) and isinstance(known[key], dict) and known[key]:
            yield from missing(value, known[key], f"{path}.")


def named(text: str, roots: set[str]) -> set[str]:
    """Words in code type such as `controller.workers` that begin with one of the chart's sections."""
    return {word for word in re.findall(r"`([A-Za-z]+(?:\.[A-Za-z]+)+)`", text) if word.split(".")[0] in roots}


def nested(path: str) -> dict[str, Any]:
    first, _, rest = path.partition(".")
    return {first: nested(rest) if rest else None}


def test_every_value_named_in_a_document_exists(documents: Mapping[str, str], values: dict[str, Any]) -> None:
    unknown = set()
    for document, text in documents.items():
        unknown |= {f"{document}: {path}" for path in named(text, set(values)) if list(missing(nested(path), values))}
    assert unknown == set()
    assert len(named(documents[_ADMIN], set(values))) > 15


def test_the_example_values_are_known_to_the_chart(
    fenced: Callable[[str, str], list[str]], values: dict[str, Any]
) -> None:
    (example,) = fenced(_ADMIN, "yaml")
    assert list(missing(yaml.safe_load(example), values)) == []


def test_every_alert_is_mentioned_and_every_role_exists(repository: Path, documents: Mapping[str, str]) -> None:
    templates = "".join(path.read_text() for path in (repository / _CHART / "templates").glob("*.yaml"))
    assert templates.count("- alert:") == 7
    assert (
        "operator absent, reconcile errors, stuck stars, API errors, slow queue, volume not written, failing steps"
        in documents[_ADMIN]
    )
    for role in re.findall(r"^\| `<name>-(\w+)` \|", documents[_ADMIN], re.MULTILINE):
        assert f"-{role}" in templates
