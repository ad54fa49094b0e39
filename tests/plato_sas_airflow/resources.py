"""Resources of a batch as the API server would give them."""

from typing import Any

from plato_sas_airflow.batches.batch import Batch
from plato_sas_airflow.kube.resource import Resource
from plato_sas_airflow.stars.star import Star

BATCH = Batch(
    id="b",
    namespace="plato",
    campaign="Q1",
    pipeline="sas-demo",
    stars=[Star(name) for name in ("KIC1", "KIC2", "KIC3")],
)


def resource(
    star: str = "KIC1", state: str | None = None, generation: int = 1, observed: int | None = 1, **rest: Any
) -> Resource:
    """One of the batch's, with a status."""
    made = BATCH.resources()[f"{star.lower()}-q1"]
    metadata = {**made["metadata"], "generation": generation, "resourceVersion": "7", "uid": "u"}
    status = {**rest.pop("status", {})}
    if state is not None:
        status["state"] = state
    if observed is not None:
        status["observedGeneration"] = observed
    return {**made, "metadata": metadata, "status": status, **rest}


def changed(
    existing: Resource, labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None, **spec: Any
) -> Resource:
    """With other labels, further annotations or other fields of the spec."""
    before = existing["metadata"]
    metadata = {
        **before,
        "labels": before["labels"] if labels is None else labels,
        "annotations": {**before["annotations"], **(annotations or {})},
    }
    return {**existing, "metadata": metadata, "spec": {**existing["spec"], **spec}}
