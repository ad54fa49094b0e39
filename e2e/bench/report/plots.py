"""Plots of results as SVG."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from plato_sas.api import Document

# The same data give the same file: no date, no random identifiers.
_SETTINGS = {"svg.hashsalt": "plato-sas", "font.size": 9}
_METADATA = {"Date": None}


def draw(results: Mapping[str, Document], folder: Path) -> list[tuple[str, Path]]:
    """One file for each plot that there are data for; returns title and file."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, one in sorted(results.items()):
        for kind, plot in _PLOTS.get(name.partition("-")[0], {}).items():
            file = folder / f"{name}-{kind}.svg"
            drawn.append((_save(one, plot, file), file))
    return drawn


def _save(one: Document, plot: Callable[[Document, Axes], str], file: Path) -> str:
    with mpl.rc_context(cast(Any, _SETTINGS)):
        figure = Figure(figsize=(7, 3.2), layout="constrained")
        axes = figure.add_subplot()
        title = plot(one, axes)
        axes.set_title(title)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(file, format="svg", metadata=_METADATA)
    return title


def _rates(one: Document, axes: Axes) -> str:
    details = one["details"]
    rates, batch = details["ratesPerBatch"], details["batch"]
    axes.step([batch * number for number in range(len(rates) + 1)], [rates[0], *rates], where="pre")
    axes.axhline(float(one["bar"].split()[1]), color="grey", linestyle="--", linewidth=1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("stars finished")
    axes.set_ylabel("stars per second")
    return f"Rate, per {batch} stars (dashed: the bar)"


def _cpu(one: Document, axes: Axes) -> str:
    used = {name: 1000 * value for name, value in one["details"]["cpuSecondsPerStar"].items()}
    names = sorted(used, key=lambda name: used[name])
    axes.barh(names, [used[name] for name in names])
    axes.set_xlabel("processor time per star [ms]")
    return "Where the processor time goes"


def _memory(one: Document, axes: Axes) -> str:
    samples = one["details"]["operatorMemory"]
    axes.plot([at for at, _ in samples], [value for _, value in samples])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("seconds")
    axes.set_ylabel("resident memory [MiB]")
    return "The operator's memory"


def _latency(one: Document, axes: Axes) -> str:
    marks = one["details"]["secondsAfterCreation"]
    names = list(marks)
    axes.barh(names[::-1], [marks[name] for name in names][::-1])
    axes.set_xlabel("seconds after the creation, median")
    return "From a star's creation to its end"


_PLOTS: dict[str, dict[str, Callable[[Document, Axes], str]]] = {
    "scale": {"rate": _rates, "cpu": _cpu, "memory": _memory},
    "latency": {"way": _latency},
}
