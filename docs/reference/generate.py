"""Generate the pages of this folder from the code: `python docs/reference/generate.py [--check]`."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import Counter, Gauge, Histogram
from pydantic import TypeAdapter

from plato_sas.api import base, catalogue, reasons
from plato_sas.api.crd import KINDS, crd
from plato_sas.api.module import ModuleRetry
from plato_sas.api.reasons import Reason
from plato_sas.collector import __main__ as collector
from plato_sas.controller import metrics
from plato_sas.jobs import names
from plato_sas.jobs.failure import Failure, FailureClass, classify
from plato_sas.plan.overdue import OVERDUE_SECONDS
from plato_sas.plan.retries import INFRASTRUCTURE_RETRIES
from plato_sas.plan.star.timeouts import START_SECONDS
from plato_sas_airflow.settings import SECTION, Settings

FOLDER = Path(__file__).resolve().parent
CHART = FOLDER.parents[1] / "charts" / "plato-sas"
Schema = dict[str, Any]

_TYPES: dict[str, tuple[Any, str]] = {
    "star or campaign name": (base.PathName, "letters, digits, `_` and `-`"),
    "step name": (base.StepName, "lower-case letters, digits and `-`"),
    "resource name": (base.ResourceName, "lower-case letters, digits, `-` and `.`"),
    "product or column name": (base.ProductName, "letters, digits and `_`, such as `DP3_SAS_NU_MAX`"),
    "variable name": (base.VariableName, "lower-case letters, digits and `_`: a CEL identifier"),
    "table name": (catalogue.TableName, "letters, digits and `_`"),
    "file name": (base.FileName, "letters, digits, `.`, `_` and `-`; no `.` at the beginning"),
    "path": (base.VolumePath, "relative to a volume's root; no folder or file begins with `.`"),
    "pointer": (catalogue.Pointer, "names with `/` before each, as in RFC 6901"),
    "SHA-256": (base.Sha256, "64 hexadecimal digits in lower case"),
    "duration": (base.Duration, "whole numbers with units, the largest first: `90s`, `20m`, `1h30m`, `7d` or `2w`"),
    "cores": (base.Cores, "a Kubernetes quantity above zero, such as `2`, `0.5` or `500m`"),
    "bytes": (base.Bytes, "a Kubernetes quantity above zero, such as `512Mi` or `2G`"),
    "image": (base.ImageName, "an image reference, such as `registry.example/group/name:1.2` or `name@sha256:...`"),
    "unit": (base.Unit, "printable ASCII, such as `uHz`"),
    "argument": (base.Argument, "any characters but NUL"),
    "version": (base.ModuleVersion, "one line of printable ASCII"),
}


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, *rows]
    written = ["|".join(["", *(f" {cell} " if cell else " " for cell in line), ""]) for line in lines]
    written.insert(1, "|---" * len(header) + "|")
    return "\n".join(written)


def text(words: str) -> str:
    """Prose for a cell: one line, in which only what stands in code type may look like Markdown or HTML."""
    parts = " ".join(words.split()).replace("|", "\\|").split("`")
    return "`".join(part if at % 2 else part.replace("<", "&lt;").replace("*", "\\*") for at, part in enumerate(parts))


def code(word: object) -> str:
    return f"`{word}`"


def bounds(low: int | None, high: int | None) -> str:
    """The range of a number in words; empty if it has no limits."""
    if high is not None:
        return f"{low} to {high}" if low is not None else f"at most {high}"
    return f"at least {low}" if low is not None else ""


# Resources


def _schema(annotated: Any) -> Schema:
    schema: Schema = TypeAdapter[str](annotated).json_schema()
    return schema


def _form(schema: Schema) -> str | None:
    """What tells a type of string from others: its pattern, or the message of its own rule."""
    own = [one["message"] for one in schema.get("x-kubernetes-validations", []) if "self.matches" in one["rule"]]
    return schema.get("pattern") or (own[0] if own else None)


_BY_FORM = {_form(_schema(annotated)): name for name, (annotated, _) in _TYPES.items()}


def type_of(node: Schema) -> str:
    """The type of a field, with its limits."""
    kind = node.get("type", "")
    if "x-kubernetes-preserve-unknown-fields" in node:
        return "boolean, number or string"
    if "x-kubernetes-int-or-string" in node:
        return "integer or string"
    if "enum" in node:
        return ", ".join(map(code, node["enum"]))
    if "items" in node:
        return f"list ({bounds(node.get('minItems'), node.get('maxItems'))}) of {type_of(node['items'])}"
    if kind == "object":
        return f"map to {type_of(node['additionalProperties'])}" if "additionalProperties" in node else "object"
    if kind == "integer":
        return ", ".join(filter(None, (kind, bounds(node.get("minimum"), node.get("maximum")))))
    if node.get("format") == "date-time":
        return "time"
    if _form(node) in _BY_FORM:
        return _BY_FORM[_form(node)]
    return f"{kind}, {bounds(None, node['maxLength'])} characters" if "maxLength" in node else str(kind)


def rules(node: Schema) -> str:
    """What the API server checks beyond types, as the message of each rule."""
    inner: Schema = node.get("items") or node.get("additionalProperties") or {}
    both = chain(node.get("x-kubernetes-validations", []), inner.get("x-kubernetes-validations", []))
    untold = {"every key must match", *filter(None, _BY_FORM)}
    messages = [rule["message"] for rule in both if not rule["message"].startswith(tuple(untold))]
    checked = "; ".join(text(message) for message in messages if message != "is immutable")
    return " ".join(["**Immutable.**"] * ("is immutable" in messages) + [f"Rules: {checked}."] * bool(checked))


def fields(node: Schema, path: str) -> Iterator[tuple[str, Schema, bool]]:
    """Path, schema and whether it is required, of every field below a node."""
    if "items" in node:
        yield from fields(node["items"], f"{path}[]")
    if "additionalProperties" in node:
        yield from fields(node["additionalProperties"], f"{path}.<name>")
    for name, field in node.get("properties", {}).items():
        yield f"{path}.{name}", field, name in node.get("required", [])
        yield from fields(field, f"{path}.{name}")


def _told(node: Schema) -> str:
    return f"{text(node['description'])} {rules(node)}".rstrip()


def _spec(node: Schema) -> str:
    rows = []
    for path, field, required in fields(node, "spec"):
        default = code(json.dumps(field["default"]).strip('"')) if "default" in field else ""
        rows.append((code(path), type_of(field), "required" if required else default, _told(field)))
    whole = rules(node)
    return table(("field", "type", "default", "what"), rows) + (f"\n\n{whole}" if whole else "")


def _status(node: Schema) -> str:
    rows = [(code(path), type_of(field), _told(field)) for path, field, _ in fields(node, "status")]
    return table(("field", "type", "what"), rows)


def _kind(document: Schema) -> Iterator[str]:
    spec = document["spec"]
    (version,) = spec["versions"]
    root = version["schema"]["openAPIV3Schema"]
    (short,) = spec["names"]["shortNames"]
    yield f"## {spec['names']['kind']} (`{short}`)"
    yield root["description"]
    yield _spec(root["properties"]["spec"])
    if "status" in root["properties"]:
        yield root["properties"]["status"]["description"]
        yield _status(root["properties"]["status"])
    columns = version["additionalPrinterColumns"]
    shown, wide = (", ".join(one["name"] for one in columns if one["priority"] == level) for level in (0, 1))
    yield f"Columns of `kubectl get {short}`: {shown}{f'; with `-o wide` also {wide}' if wide else ''}."


def resources() -> Iterator[str]:
    yield (
        "The same as `kubectl explain` shows, for the API group `plato-sas.io/v1alpha1`. A field without a default may "
        "be left out, unless it is required."
    )
    for model, plural, short, columns in KINDS:
        yield from _kind(crd(model, plural, short, columns))
    yield "## Types"
    yield table(
        ("type", "what", "longest"),
        ((name, what, str(_schema(annotated)["maxLength"])) for name, (annotated, what) in _TYPES.items()),
    )


# Reasons


def _reasons(found: Iterable[Reason]) -> str:
    return table(
        ("reason", "meaning", "what to do"), ((code(one.name), text(one.meaning), text(one.remedy)) for one in found)
    )


def reason_page() -> Iterator[str]:
    yield "Why a star, a step or a catalogue is in its state, and what to do: the `reason` of conditions and steps."
    yield "## Conditions"
    yield "`Accepted` says whether the spec, and what it refers to, is valid."
    yield _reasons(reasons.ACCEPTED)
    yield "`Complete` is True once the work has succeeded. Of a star:"
    yield _reasons(reasons.COMPLETE)
    yield "Of a catalogue, beside the reasons that a step has for its pod:"
    yield _reasons(reasons.CATALOGUE)
    yield "## Steps"
    yield "Skipped, which is a normal end except for `UpstreamFailed`:"
    yield _reasons(reasons.SKIPPED)
    yield "Cancelled:"
    yield _reasons(reasons.CANCELLED)
    yield (
        "Failed, or waiting for another attempt. The class decides about "
        "[retries](../specification.md#6-failure-classes-and-retries). After the last one, remove the cause and rerun "
        "with `failed: true`."
    )
    yield table(
        ("reason", "class", "meaning", "what to do"),
        ((code(one.name), one.failure_class or "-", text(one.meaning), text(one.remedy)) for one in reasons.FAILED),
    )
    yield "Running, and held up. These reasons disappear with their cause."
    yield table(("reason", "meaning"), ((code(one.name), text(one.meaning)) for one in reasons.HELD_UP))
    yield (
        f"A container that cannot begin for `controller.startSeconds` ({START_SECONDS} by default) ends its pod: a "
        "failure of the class Infrastructure with that reason. `Unschedulable` and `PodNotCreated` (no pod after "
        f"{OVERDUE_SECONDS:.0f} s) have no limit but the star's deadline."
    )
    yield "Ended and not published yet. A Job of their own publishes them ([stages](../specification.md#55-stages))."
    yield table(("reason", "meaning"), ((code(one.name), text(one.meaning)) for one in reasons.UNPUBLISHED))
    yield "## Events of a star"
    yield table(("reason", "meaning"), ((code(one.name), text(one.meaning)) for one in reasons.EVENTS))


# Exit codes


def _failure(exit_code: int, reason: str) -> Failure:
    """What the operator makes of a step whose container has ended so."""
    terminated = {"exitCode": exit_code, "reason": reason}
    container = {"name": names.step_container("step"), "state": {"terminated": terminated}}
    pod = {"metadata": {"name": "pod"}, "spec": {}, "status": {"phase": "Failed", "initContainerStatuses": [container]}}
    return classify({"metadata": {"name": "job"}}, pod)


def _ranges(numbers: Iterable[int]) -> str:
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return ", ".join(f"{one[0]} to {one[-1]}" if len(one) > 1 else str(one[0]) for one in found)


_FOLLOWS = {
    FailureClass.SCIENCE: "final",
    FailureClass.TEMPORARY: (
        f"retried, at most `retry.temporary` times ({ModuleRetry.model_fields['temporary'].default} by default)"
    ),
    FailureClass.OUT_OF_MEMORY: "retried with twice the memory, up to `memoryCap`; final without one",
    FailureClass.INFRASTRUCTURE: f"retried, at most {INFRASTRUCTURE_RETRIES} times",
}


def exit_codes() -> Iterator[str]:
    yield "What the exit code of a container means, and what the operator does next."
    yield "## Modules"
    meaning = {one.name: one.meaning for one in reasons.FAILED}
    ended: dict[tuple[str, FailureClass], list[int]] = {}
    for number in range(1, 256):
        failure = _failure(number, "Error")
        ended.setdefault((failure.reason, failure.kind), []).append(number)
    rows = [("0", "", "", "All required outputs have to be there.", "published")]
    for (reason, kind), numbers in ended.items():
        rows.append((_ranges(numbers), code(reason), kind.value, text(meaning[reason]), _FOLLOWS[kind]))
    killed = _failure(137, "OOMKilled")
    told = text(meaning[killed.reason])
    rows.append(("137, if out of memory", code(killed.reason), killed.kind.value, told, _FOLLOWS[killed.kind]))
    yield table(("code", "reason", "class", "meaning", "what follows"), rows)
    yield (
        "For a final failure a module should use 1 to 63. It must not end with 137 or 143 by itself. "
        '"Nothing found" is not a failure: end with 0, and leave optional outputs out.'
    )
    yield "## The operator's own containers"
    yield table(
        ("container", "code", "meaning"),
        (
            (
                "stage-in, publish",
                "1",
                "Failed, or nothing is left to run. The report in the message decides, not the code.",
            ),
            ("catalogue", str(collector._FAILED), "`CollectionFailed`: final."),
            ("catalogue", str(collector._TEMPORARY), "A volume is at fault: retried."),
            ("operator", "1", "A setting is invalid, or another operator holds the Lease. The log says which."),
        ),
    )


# Metrics


def _metrics() -> Iterator[tuple[str, str, str, str]]:
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            (family,) = metric.describe()
            name = f"{family.name}_total" if isinstance(metric, Counter) else family.name
            yield code(name), ", ".join(map(code, metric._labelnames)), family.type, text(family.documentation)


def metrics_page() -> Iterator[str]:
    yield "What the operator exports at `/metrics`, port 9090. No label has a value per star."
    yield table(("metric", "labels", "type", "what"), _metrics())


# Values of the chart


def _comment(lines: Sequence[str], at: int) -> str:
    """The comment right above a line, at the same indentation."""
    indentation = len(lines[at]) - len(lines[at].lstrip())
    found: list[str] = []
    while at > 0 and lines[at - 1].startswith(" " * indentation + "#"):
        at -= 1
        found.insert(0, lines[at].strip().removeprefix("#").strip())
    return " ".join(found)


def _limits(schema: Schema) -> str:
    if "enum" in schema:
        return f"One of {', '.join(map(code, schema['enum']))}."
    found = bounds(schema.get("minimum"), schema.get("maximum"))
    return f"{found[0].upper()}{found[1:]}." if found else ""


class ChartValues:
    """The values with their comments. Values that share a definition of the schema share its comments."""

    def __init__(self, source: str, schema: Schema) -> None:
        self._lines = source.splitlines()
        self._source = source
        self._schema = schema
        self._shared: dict[tuple[str, str], str] = {}

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Path, default and comment of each value and group, in the order of the file."""
        root = yaml.compose(self._source)
        assert isinstance(root, yaml.MappingNode)
        yield from self._rows(root, self._schema, "")

    def _rows(self, node: yaml.MappingNode, schema: Schema, path: str) -> Iterator[tuple[str, str, str]]:
        reference = schema.get("$ref", "")
        schema = self._schema["definitions"][reference.rpartition("/")[2]] if reference else schema
        for key, value in node.value:
            below = schema.get("properties", {}).get(key.value, {})
            comment = _comment(self._lines, key.start_mark.line)
            if reference:
                comment = self._shared.setdefault((reference, key.value), comment)
            told = " ".join(filter(None, (comment, _limits(below))))
            if isinstance(value, yaml.MappingNode) and not value.flow_style:
                yield f"{path}{key.value}", "", told
                yield from self._rows(value, below, f"{path}{key.value}.")
            else:
                default = self._source[value.start_mark.index : value.end_mark.index]
                yield f"{path}{key.value}", default, told


def chart_values() -> Iterator[str]:
    yield (
        "What a values file for `helm install` can set, from [values.yaml](../../charts/plato-sas/values.yaml). "
        "A misspelt name or a wrong type is refused."
    )
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = ChartValues((CHART / "values.yaml").read_text(), schema)
    yield table(
        ("value", "default", "what"),
        ((code(path), code(default) if default else "", text(what)) for path, default, what in values.rows()),
    )
    yield "[Think of these first](../guides/admin-guide.md#install)."


# Settings of Airflow


def airflow_settings() -> Iterator[str]:
    yield (
        f"Options of the section `[{SECTION}]` of Airflow's configuration. Each can be set as the environment variable "
        f"`AIRFLOW__{SECTION.upper()}__<NAME>` as well."
    )
    yield Settings.table()


PAGES: Mapping[str, tuple[str, Callable[[], Iterator[str]]]] = {
    "airflow-settings.md": ("Settings of Airflow", airflow_settings),
    "chart-values.md": ("Chart values", chart_values),
    "exit-codes.md": ("Exit codes", exit_codes),
    "metrics.md": ("Metrics", metrics_page),
    "reasons.md": ("Reasons", reason_page),
    "resources.md": ("Fields of the resources", resources),
}


def pages() -> dict[str, str]:
    """The text of every page, by file name."""
    note = "<!-- Generated by docs/reference/generate.py (`make generate`): do not edit. -->"
    return {name: "\n\n".join([f"# {title}", note, *blocks()]) + "\n" for name, (title, blocks) in PAGES.items()}


def main(arguments: Sequence[str] | None = None, folder: Path = FOLDER) -> int:
    parser = argparse.ArgumentParser(description="Write the reference pages.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is out of date")
    check = parser.parse_args(arguments).check
    stale = {name: page for name, page in pages().items() if not _is(folder / name, page)}
    for name, page in stale.items():
        if check:
            print(f"docs/reference/{name} is out of date: run `make generate`", file=sys.stderr)
        else:
            (folder / name).write_text(page)
    return 1 if check and stale else 0


def _is(path: Path, page: str) -> bool:
    return path.is_file() and path.read_text() == page


if __name__ == "__main__":
    sys.exit(main())
