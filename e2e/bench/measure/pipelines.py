"""What the benchmarks run: modules that are one shell command each, and pipelines that chain them."""

from typing import Any

from e2e.install.modules import pinned
from plato_sas.api import Document

API_VERSION = "plato-sas.io/v1alpha1"
IMAGE = "localhost/plato-sas/synthetic:0.1.0"
STEPS = 7
CAMPAIGN = "bench"


def shell_module(name: str, output: str, command: str, source: str | None = None) -> Document:
    """A ScienceModule that is one shell command; it reads the file `source`, if one is named."""
    return {
        "apiVersion": API_VERSION,
        "kind": "ScienceModule",
        "metadata": {"name": name},
        "spec": {
            "description": "One shell command, for benchmarks.",
            "image": pinned(IMAGE),
            "version": "0.1.0",
            "command": ["sh", "-c", command],
            "inputs": [{"name": source}] if source else [],
            "outputs": [{"name": output}],
            "resources": {"cpu": "10m", "memory": "16Mi", "scratch": "16Mi"},
            "timeout": "10m",
        },
    }


def product(step: int) -> str:
    return f"IDP_BENCH_{step}"


def chain(name: str, steps: int = STEPS, command: str = "echo done > /sas/out/{output}.h5") -> list[Document]:
    """The modules and the pipeline of a chain: each step reads what the one before it wrote.

    `{output}` in the command is the output's name.
    """
    modules, graph = [], []
    for number in range(1, steps + 1):
        source = product(number - 1) if number > 1 else None
        output = product(number)
        modules.append(shell_module(f"{name}-{number}", output, command.replace("{output}", output), source))
        step: Document = {"name": f"step{number}", "module": f"{name}-{number}"}
        if source:
            step["inputs"] = [{"name": source, "step": f"step{number - 1}"}]
        graph.append(step)
    pipeline = {
        "apiVersion": API_VERSION,
        "kind": "StarPipeline",
        "metadata": {"name": name},
        "spec": {"description": "A chain of steps, for benchmarks.", "externals": [], "steps": graph},
    }
    return [*modules, pipeline]


def star(name: str, pipeline: str, **spec: Any) -> Document:
    """A StarProcessing; the star has the resource's name."""
    return {
        "apiVersion": API_VERSION,
        "kind": "StarProcessing",
        "metadata": {"name": name},
        "spec": {"star": name, "campaign": CAMPAIGN, "pipeline": pipeline, **spec},
    }
