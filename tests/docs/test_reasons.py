"""Specification and reference know every state and reason that the operator's code can write, and no other."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from plato_sas.api import StarState, StepState, reasons
from plato_sas.jobs import failure
from plato_sas.jobs.failure import FailureClass
from plato_sas.plan.star.outcomes import WITHHELD_BY_THE_VOLUME

_SPECIFICATION = "docs/specification.md"
_REASONS = "docs/reference/reasons.md"
_PACKAGES = ("plan", "jobs", "stager", "controller")
_WORD = re.compile(r"[A-Z][A-Za-z]+")
# Words of the code that are no reason: kinds and values of Kubernetes' own, headers, types of Events and conditions.
_OTHER = {
    "Accept", "Active", "Authorization", "Background", "BearerToken", "Complete", "ControllerRevision", "Default",
    "DisruptionTarget", "Event", "Excerpt", "Failed", "FallbackToLogsOnError", "False", "IfNotPresent", "Job",
    "Lease", "Mi", "Never", "Normal", "OnRootMismatch", "Pod", "PodScheduled", "Ready", "Reconciling", "RuntimeDefault",
    "ScienceModule", "Stalled", "StarCatalogue", "StarPipeline", "StarProcessing", "StartError", "True", "Warning",
}  # fmt: skip
# Kubernetes' own, which reach the status as they are.
_OF_KUBERNETES = {"Unschedulable"}


def trees(repository: Path) -> Iterator[ast.Module]:
    for package in _PACKAGES:
        for path in (repository / "operator" / "plato_sas" / package).rglob("*.py"):
            yield ast.parse(path.read_text())


def words(tree: ast.Module) -> set[str]:
    """Every string constant that is one capitalised word. Forward references in annotations are none."""
    annotations = {id(node.returns) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in annotations)
    values = (node.value for node in constants if isinstance(node.value, str))
    return {value for value in values if _WORD.fullmatch(value) and not value.isupper()}


def in_code(repository: Path) -> set[str]:
    return set().union(*map(words, trees(repository)))


def classes(repository: Path) -> dict[str, str]:
    """Reason to class, of every failure that the code constructs with a fixed reason."""
    found: dict[str, str] = {}
    for node in (node for tree in trees(repository) for node in ast.walk(tree)):
        match node:
            case ast.Call(ast.Name("Failure"), [ast.Attribute(attr=kind), ast.Constant(value=reason), *_]):
                found[reason] = FailureClass[kind].value
            case ast.Call(ast.Name("Problem"), [_, ast.Constant(value=reason), *_]):
                found[reason] = FailureClass.SCIENCE.value
    temporary = failure._STAGER_TEMPORARY | WITHHELD_BY_THE_VOLUME
    return found | dict.fromkeys(temporary, FailureClass.INFRASTRUCTURE.value)


def section(text: str, number: str) -> str:
    """From a numbered heading to the next one of the same level."""
    heading = re.search(rf"^(#+) {re.escape(number)}\.? .*$", text, re.MULTILINE)
    assert heading, f"{_SPECIFICATION} has no section {number}"
    rest = text[heading.end() :]
    following = re.search(rf"^#{{1,{len(heading[1])}}} ", rest, re.MULTILINE)
    return rest[: following.start()] if following else rest


def first_column(text: str) -> set[str]:
    """The words in code type in the first column of a section's tables."""
    rows = re.findall(r"^\|([^|]+)\|", text, re.MULTILINE)
    return {word for row in rows for word in re.findall(r"`(\w+)`", row)}


def test_every_reason_is_documented(repository: Path, documents: Mapping[str, str]) -> None:
    specified = section(documents[_SPECIFICATION], "5") + section(documents[_SPECIFICATION], "6")
    told = set(re.findall(r"`(\w+)`", specified + documents[_REASONS]))
    assert in_code(repository) - _OTHER - told == set()


def test_every_documented_reason_exists(repository: Path, documents: Mapping[str, str]) -> None:
    told = first_column(documents[_REASONS])
    assert len(told) > 30
    assert told - in_code(repository) - _OF_KUBERNETES == set()


def test_states_and_classes_are_documented(documents: Mapping[str, str]) -> None:
    text = documents[_SPECIFICATION]
    states = {state.value for kind in (StarState, StepState) for state in kind}
    assert first_column(section(text, "5.1")) == states
    assert first_column(section(text, "6")) == {one.value for one in FailureClass}


def test_each_failure_has_the_class_that_the_code_gives_it(repository: Path) -> None:
    told = {one.name: one.failure_class for one in reasons.FAILED}
    given = classes(repository)
    assert len(given) > 15
    assert {reason: told.get(reason) for reason in given} == given


def test_the_exceptions_are_still_needed(repository: Path) -> None:
    assert _OTHER - in_code(repository) == set()
