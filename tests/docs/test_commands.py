"""Commands that the documents name exist; the two of the README are the ones that CI runs."""

import importlib.util
import re
from collections.abc import Callable, Mapping
from pathlib import Path

_MAKE = re.compile(r"(?:^|[`&;] ?)make((?: [a-z][a-z-]*)+)(?=$|[`\s;&)])", re.MULTILINE)
_MODULE = re.compile(r"python3? -m (e2e[.\w]*)")


def targets(makefile: str) -> set[str]:
    return {found[1] for found in re.finditer(r"^([a-z][a-z-]*):(?!=)", makefile, re.MULTILINE)}


def commands(text: str) -> set[str]:
    """The targets of every `make ...` in code."""
    return {target for found in _MAKE.finditer(text) for target in found[1].split()}


def test_ci_runs_the_two_commands_of_the_readme(repository: Path, fenced: Callable[[str, str], list[str]]) -> None:
    first = fenced("README.md", "console")[0].splitlines()
    script = (repository / ".ci" / "run").read_text().splitlines()
    assert first == ["make demo", "make test"]
    assert [line for line in script if line.startswith("make ")] == first


def test_every_make_target_exists(repository: Path, documents: Mapping[str, str]) -> None:
    known = targets((repository / "Makefile").read_text())
    unknown = {f"{path}: make {name}" for path, text in documents.items() for name in commands(text) - known}
    assert unknown == set()


def test_every_described_target_is_in_the_readme(repository: Path, documents: Mapping[str, str]) -> None:
    described = set(re.findall(r"^([a-z-]+):.*##", (repository / "Makefile").read_text(), re.MULTILINE))
    assert described - commands(documents["README.md"]) == {"help", "setup"}


def test_every_python_command_exists(documents: Mapping[str, str]) -> None:
    named = {(path, found[1]) for path, text in documents.items() for found in _MODULE.finditer(text)}
    assert named
    assert [one for one in named if importlib.util.find_spec(one[1].rstrip(".")) is None] == []


def test_targets_are_found() -> None:
    assert commands("`make cluster load`, to make sense\nmake demo\n`make down`") == {"cluster", "load", "demo", "down"}
    assert targets("LOCAL := x\ndemo: load ## Text\n.PHONY: demo\n") == {"demo"}
