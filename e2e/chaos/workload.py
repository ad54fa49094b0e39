"""The stars of the suite: a small graph with a branch and an optional input, and what must become of each star."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from e2e.chaos.judge import PUBLISHED, Truth
from e2e.install.modules import pinned
from plato_sas.api import Document

Parameters = Mapping[str, Mapping[str, str | int]]

API = "plato-sas.io/v1alpha1"
IMAGE = "localhost/plato-sas/synthetic:0.1.0"
PIPELINE = "chaos"
SINGLE = "chaos-single"
PATIENT = "chaos-patient"
STEPS = ("source", "left", "branch", "merge", "last")
FUSED, PER_STEP = "Fused", "PerStep"

_SUCCEEDED = dict.fromkeys(STEPS, "Succeeded")
_TEMPORARY_RETRIES = 2


@dataclass(frozen=True)
class Star:
    """One StarProcessing to create, with its true end. `fault`: whose row of the table it belongs to."""

    name: str
    truth: Truth
    stages: str = FUSED
    pipeline: str = PIPELINE
    parameters: Mapping[str, Mapping[str, str | int]] = field(default_factory=dict)
    fault: str = ""

    def document(self, campaign: str) -> Document:
        spec: Document = {"star": self.name, "campaign": campaign, "pipeline": self.pipeline, "stages": self.stages}
        spec["parameters"] = {step: dict(values) for step, values in self.parameters.items()}
        return {"apiVersion": API, "kind": "StarProcessing", "metadata": {"name": self.name}, "spec": spec}


def whole(name: str, stages: str, parameters: Parameters | None = None, *, sleep: str = "0.3") -> Star:
    """All five steps succeed."""
    given = _with_sleep(parameters or {}, sleep, {"source": {"facts": '{"go": true}'}})
    return Star(name, Truth(name, "Succeeded", _SUCCEEDED), stages, parameters=given)


def branchless(name: str, stages: str, *, sleep: str = "0.3") -> Star:
    """The branch's condition is false: it is skipped, and its consumer does without the optional input."""
    truth = Truth(name, "Succeeded", _SUCCEEDED | {"branch": "Skipped"}, {"branch": "ConditionFalse"})
    return Star(name, truth, stages, parameters=_with_sleep({}, sleep, {"source": {"facts": '{"go": false}'}}))


def sick(name: str, stages: str, *, sleep: str = "0.3") -> Star:
    """The module of `left` fails for good: what depends on it is skipped, the branch is not touched."""
    steps = _SUCCEEDED | {"left": "Failed", "merge": "Skipped", "last": "Skipped"}
    reasons = {"left": "ModuleFailed", "merge": "UpstreamFailed", "last": "UpstreamFailed"}
    given: Parameters = {
        "source": {"facts": '{"go": true}'},
        "left": {"exit_code": 3, "message": "flux: no such column"},
    }
    return Star(name, Truth(name, "Failed", steps, reasons), stages, parameters=_with_sleep({}, sleep, given))


def wobbly(name: str, stages: str, *, sleep: str = "0.3") -> Star:
    """The module of `left` fails once, for a while."""
    given: Parameters = {"source": {"facts": '{"go": true}'}, "left": {"exit_code": 75, "failures": 1}}
    return Star(name, Truth(name, "Succeeded", _SUCCEEDED), stages, parameters=_with_sleep({}, sleep, given))


def fleet(prefix: str, count: int, *, sleep: str = "0.3", stages: Iterable[str] = (FUSED, PER_STEP)) -> list[Star]:
    """So many stars of every kind and mode in turn."""
    kinds = (whole, branchless, whole, sick, whole, wobbly)
    modes = tuple(stages)
    found = []
    for index in range(count):
        # Both modes and two kinds among the first two; twelve are each kind in each mode.
        mode = modes[(index + index // len(kinds)) % len(modes)]
        found.append(kinds[index % len(kinds)](f"{prefix}-{index}", mode, sleep=sleep))
    return found


def single(name: str, state: str, reason: str | None, **parameters: str | int) -> Star:
    """One step of a module that misbehaves."""
    truth = Truth(name, state, {"only": state}, {"only": reason} if reason else {})
    return Star(name, truth, pipeline=SINGLE, parameters={"only": parameters})


def doomed(name: str) -> Star:
    """Sleeps for ever until somebody cancels it."""
    return replace(single(name, "Cancelled", None, hang="true"), pipeline=PATIENT)


def _with_sleep(parameters: Parameters, sleep: str, more: Parameters) -> dict[str, dict[str, str | int]]:
    layers = ({step: {"sleep_s": sleep} for step in STEPS}, more, parameters)
    return {step: {key: value for layer in layers for key, value in layer.get(step, {}).items()} for step in STEPS}


def published_steps(star: Star) -> frozenset[str]:
    return frozenset(step for step, state in star.truth.steps.items() if state in PUBLISHED)


def modules_and_pipelines() -> list[Document]:
    """The modules and the pipelines of the suite."""
    modules = [
        _module("chaos-source", [], ["IDP_A"], facts=[{"name": "go", "type": "boolean"}]),
        _module("chaos-carry", ["IDP_A"], ["IDP_B"]),
        _module("chaos-branch", ["IDP_A"], ["IDP_C"]),
        _module("chaos-merge", ["IDP_B", "IDP_C"], ["IDP_D"], optional=("IDP_C",)),
        _module("chaos-last", ["IDP_D"], ["IDP_E"]),
        _module("chaos-trouble", [], ["IDP_A"], timeout="20s"),
        # The kubelet measures scratch about once a minute.
        _module("chaos-patient", [], ["IDP_A"], timeout="5m"),
    ]
    steps: list[Document] = [
        {"name": "source", "module": "chaos-source"},
        {"name": "left", "module": "chaos-carry", "inputs": [{"name": "IDP_A", "step": "source"}]},
        {
            "name": "branch",
            "module": "chaos-branch",
            "inputs": [{"name": "IDP_A", "step": "source"}],
            "when": "facts['source'].go",
        },
        {
            "name": "merge",
            "module": "chaos-merge",
            "inputs": [{"name": "IDP_B", "step": "left"}, {"name": "IDP_C", "step": "branch", "optional": True}],
        },
        {"name": "last", "module": "chaos-last", "inputs": [{"name": "IDP_D", "step": "merge"}]},
    ]
    return [
        *modules,
        _document("StarPipeline", PIPELINE, {"steps": steps}),
        _document("StarPipeline", SINGLE, {"steps": [{"name": "only", "module": "chaos-trouble"}]}),
        _document("StarPipeline", PATIENT, {"steps": [{"name": "only", "module": "chaos-patient"}]}),
    ]


def _module(
    name: str, inputs: list[str], outputs: list[str], *, optional: tuple[str, ...] = (), **spec: Any
) -> Document:
    arguments = [f"--output={one}.h5" for one in outputs]
    arguments += [f"--input={one}" for one in inputs if one not in optional]
    body: Document = {
        "image": pinned(IMAGE),
        "version": "0.1.0",
        "args": arguments,
        "inputs": [{"name": one, "optional": one in optional} for one in inputs],
        "outputs": [{"name": one} for one in outputs],
        "parameters": _PARAMETERS,
        "resources": {"cpu": "20m", "memory": "64Mi", "scratch": "16Mi"},
        "timeout": "2m",
        "retry": {"temporary": _TEMPORARY_RETRIES},
        **spec,
    }
    return _document("ScienceModule", name, body)


_PARAMETERS = [
    {"name": "sleep_s", "type": "number", "default": 0},
    *({"name": name, "type": "boolean", "default": "false"} for name in ("hang", "ignore_sigterm", "write_outside")),
    *(
        {"name": name, "type": "integer", "default": 0}
        for name in ("scratch_mib", "exit_code", "children", "fork_burst", "write_files", "print_mib")
    ),
    {"name": "failures", "type": "integer", "default": 1000000},
    {"name": "message", "type": "string", "default": ""},
    {"name": "facts", "type": "string", "default": "{}"},
]


def _document(kind: str, name: str, spec: Document) -> Document:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}
