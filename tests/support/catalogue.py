"""A pipeline with a catalogue of its products; the catalogue's Job and pod as the API server shows them."""

from typing import Any

from plato_sas.api import StarCatalogue, StarCatalogueStatus
from plato_sas.collector.report import CatalogueReport, TableReport
from plato_sas.jobs.names import CATALOGUE_LABEL, JOB_NAME_LABEL, MANAGED_BY_LABEL, MANAGER
from plato_sas.plan.graph.graph import Graph
from tests.support.samples import NOW, dag, graph

Document = dict[str, Any]
LATER = "2030-01-01T00:01:00Z"
IMAGE = "registry/catalogue:1"

EDGES: dict[str, list[str]] = {"fit": [], "choose": ["fit"]}
OPTIONS: Document = {
    "facts": {"fit": {"found": "boolean", "score": "number"}},
    "module_fields": {
        "choose": {
            "outputs": [
                {"name": "OUT_CHOOSE"},
                {"name": "DP5_SAS_MASS", "optional": True},
                {"name": "REPORT", "path": "REPORT.json"},
                {"name": "PLOT", "path": "PLOT.png"},
            ],
            "facts": [{"name": "mass", "type": "number", "unit": "solMass"}],
        }
    },
}

TABLES: list[Document] = [
    {
        "name": "DP3",
        "columns": [
            {"name": "found", "step": "fit", "fact": "found"},
            {"name": "score", "step": "fit", "fact": "score"},
        ],
    },
    {
        "name": "DP5",
        "description": "Masses",
        "columns": [
            {"name": "mass", "unit": "solMass", "step": "choose", "output": "DP5_SAS_MASS", "description": "Mass"},
            {"name": "mass_err", "unit": "solMass", "step": "choose", "output": "DP5_SAS_MASS",
             "pointer": "/uncertainty"},
            {"name": "grade", "step": "choose", "output": "REPORT", "pointer": "/grade", "type": "integer"},
        ],
    },
]  # fmt: skip

REPORT = CatalogueReport(3, 1, 1, [TableReport("DP3", 2, 0, ["1" * 64, "2" * 64])])


def sample_graph() -> Graph:
    return graph(EDGES, **OPTIONS)


def sample_dag() -> Any:
    return dag(EDGES, **OPTIONS)


def tables_with(**column: Any) -> list[Document]:
    """One table with one column."""
    return [{"name": "DP5", "columns": [{"name": "x", "step": "fit", **column}]}]


def catalogue(status: StarCatalogueStatus | None = None, *, name: str = "q1-dp", **spec: Any) -> StarCatalogue:
    """A catalogue of q1; `spec` fields are camelCase as in YAML."""
    metadata = {"name": name, "namespace": "plato", "uid": "uid-1", "generation": 1, "creationTimestamp": NOW}
    return StarCatalogue.model_validate(
        {
            "metadata": metadata,
            "spec": {"campaign": "q1", "pipeline": "sas-test", "tables": TABLES} | spec,
            "status": (status or StarCatalogueStatus()).to_dict(),
        }
    )


def ended_pod(job: Document, *, code: int = 0, message: str = "", container: str = "step-catalogue") -> Document:
    """The Job's pod, in which `container` has ended so, and those before it well."""

    def state(one_code: int, text: str) -> Document:
        reason = "Completed" if one_code == 0 else "Error"
        times = {"startedAt": NOW, "finishedAt": LATER}
        return {"terminated": {"exitCode": one_code, "message": text, "reason": reason, **times}}

    first = state(code, message) if container == "step-prepare" else state(0, "")
    second = state(code, message) if container == "step-catalogue" else {"waiting": {"reason": "PodInitializing"}}
    name = job["metadata"]["name"]
    return {
        "metadata": {
            "name": f"{name}-pod",
            "creationTimestamp": NOW,
            "labels": {**job["metadata"]["labels"], JOB_NAME_LABEL: name},
        },
        "spec": {"activeDeadlineSeconds": 21600, "nodeName": "n"},
        "status": {
            "phase": "Failed" if code else "Succeeded",
            "startTime": NOW,
            "initContainerStatuses": [{"name": "step-prepare", "state": first}],
            "containerStatuses": [{"name": "step-catalogue", "state": second}],
        },
    }


def pending_pod(job: Document, reason: str, message: str) -> Document:
    """The Job's pod, which cannot begin."""
    pod = ended_pod(job)
    waiting = {"name": "step-prepare", "state": {"waiting": {"reason": reason, "message": message}}}
    pod["status"] = {"phase": "Pending", "startTime": NOW, "initContainerStatuses": [waiting]}
    return pod


def finished_job(job: Document, condition: str) -> Document:
    status: Document = {
        "startTime": NOW,
        "conditions": [{"type": condition, "status": "True", "lastTransitionTime": LATER}],
    }
    return {**job, "status": status}


def labels(name: str) -> dict[str, str]:
    return {MANAGED_BY_LABEL: MANAGER, CATALOGUE_LABEL: name}
