"""`python -m e2e.bench report`: the results that are there, as a table and plots in docs/benchmarks.md."""

import re
from collections.abc import Mapping
from pathlib import Path

from e2e.bench.report import plots
from e2e.bench.report.result import read_all
from e2e.layout import REPOSITORY
from plato_sas.api import Document

PAGE = REPOSITORY / "docs" / "benchmarks.md"
PLOTS = REPOSITORY / "docs" / "benchmarks"
_BEGIN = "<!-- results: written by `python -m e2e.bench report` -->"
_END = "<!-- end of results -->"
ORDER = ("containers", "fused", "perstep", "latency", "scale", "scale-250000", "memory", "burst", "airflow", "quarter")


class ReportError(Exception):
    """The page cannot be written; the message says why."""


def write(page: Path = PAGE, folder: Path = PLOTS) -> list[Path]:
    """Replace what is between the page's markers, and the plots; returns the files. Raises ReportError."""
    results = {name: one for name, one in read_all().items() if not one["quick"]}
    if not results:
        raise ReportError("there are no results of full runs in .local/bench: make bench")
    drawn = plots.draw(results, folder)
    lines = ["", *table(results), "", *machines(results)]
    for title, file in drawn:
        lines += ["", f"![{title}]({file.relative_to(page.parent)})"]
    page.write_text(replaced(page.read_text(), "\n".join(lines) + "\n\n"))
    return [page, *(file for _, file in drawn)]


def replaced(text: str, content: str) -> str:
    """The page with other content between its markers. Raises ReportError if it has not exactly one pair."""
    pattern = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
    found, count = pattern.subn(lambda _: f"{_BEGIN}\n{content}{_END}", text)
    if count != 1:
        raise ReportError(f"the page must have the lines {_BEGIN!r} and {_END!r} once each")
    return found


def ordered(results: Mapping[str, Document]) -> list[Document]:
    """In the order of the specification, unknown ones last."""
    rank = {name: number for number, name in enumerate(ORDER)}
    return [results[name] for name in sorted(results, key=lambda name: (rank.get(name, len(rank)), name))]


def table(results: Mapping[str, Document]) -> list[str]:
    """A line for each figure, and what it is compared with."""
    lines = ["| what | figure | bar | met |", "|---|---|---|---|"]
    for one in ordered(results):
        lines.append(_line(one["title"], one["figure"], one["unit"], one["bar"], _verdict(one)))
        for further in one["further"]:
            verdict = "" if further["bar"] is None else "yes" if further["met"] else "**no**"
            lines.append(_line(f"- {further['name']}", further["value"], further["unit"], further["bar"], verdict))
        lines += [_line(f"- {name}", value, "", None, "") for name, value in one["compared_with"].items()]
    return lines


def _verdict(one: Document) -> str:
    """Of the main figure alone: the document's `met` speaks for all figures."""
    if one["bar"] is None:
        return ""
    return "yes" if one["figureMet"] else "**no**"


def _line(name: str, value: object, unit: str, bar: str | None, verdict: str) -> str:
    shown = f"{value:g}" if isinstance(value, (int, float)) else str(value)
    return f"| {name} | {shown} {unit}".rstrip() + f" | {bar or ''} | {verdict} |"


def machines(results: Mapping[str, Document]) -> list[str]:
    """What the figures were measured on and with: one line for each machine, with the commit of each benchmark."""
    seen: dict[str, list[str]] = {}
    for one in ordered(results):
        facts = {**one["machine"], **one["versions"]}
        commit = facts.pop("commit", "unknown")
        text = ", ".join(f"{name} {value}" for name, value in facts.items())
        seen.setdefault(text, []).append(f"{one['name']} ({one['started'][:10]}, {commit})")
    return [f"Measured with {text}: {', '.join(names)}." for text, names in seen.items()]
