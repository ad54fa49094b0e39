"""Argo CD's health of a star and of a catalogue, by the script that the chart's folder has for it."""

import tarfile
from typing import Any

import pytest
from lupa import lua51  # of the same version as Argo CD's interpreter

from e2e.setup import manifests
from plato_sas.api import Document

SCRIPT = (manifests.CHART / "argocd" / "health.lua").read_text()


def health(obj: Document) -> dict[str, Any]:
    runtime = lua51.LuaRuntime()
    runtime.globals().obj = runtime.table_from(obj, recursive=True)
    return dict(runtime.execute(SCRIPT))


def one(state: str, *conditions: tuple[str, str, str], progress: str = "2/5", seen: int = 3) -> Document:
    """A resource with conditions (type, reason, message) that hold; Complete and Ready do not unless they are given."""
    holding = [{"type": kind, "status": "True", "reason": why, "message": said} for kind, why, said in conditions]
    others = [
        {"type": kind, "status": "False", "reason": state, "message": "further"}
        for kind in ("Complete", "Ready")
        if kind not in {condition[0] for condition in conditions}
    ]
    status = {"state": state, "progress": progress, "observedGeneration": seen, "conditions": others + holding}
    return {"metadata": {"generation": 3}, "status": status}


ACCEPTED = ("Accepted", "Accepted", "")
RECONCILING = ("Reconciling", "Progressing", "")


@pytest.mark.parametrize(
    ("obj", "status", "message"),
    [
        ({"metadata": {"generation": 1}}, "Progressing", "The operator has not seen it yet"),
        ({"metadata": {"generation": 1}, "status": {}}, "Progressing", "The operator has not seen it yet"),
        (one("Pending", ACCEPTED, RECONCILING, progress=""), "Progressing", "Pending"),
        (one("Running", ACCEPTED, RECONCILING), "Progressing", "Running, 2/5 steps"),
        (one("Suspended", ACCEPTED), "Suspended", "Suspended, 2/5 steps"),
        (
            one("Succeeded", ACCEPTED, ("Complete", "Succeeded", ""), ("Ready", "Succeeded", ""), progress="5/5"),
            "Healthy",
            "Succeeded, 5/5 steps",
        ),
        (
            one("Failed", ACCEPTED, ("Failed", "StepFailed", ""), ("Stalled", "StepFailed", "step b: exit code 3")),
            "Degraded",
            "StepFailed: step b: exit code 3",
        ),
        (one("Cancelled", ACCEPTED, ("Failed", "Cancelled", "")), "Degraded", "Cancelled"),
        (
            one("Rejected", ("Stalled", "PipelineNotFound", "pipeline 'x' does not exist"), progress=""),
            "Degraded",
            "PipelineNotFound: pipeline 'x' does not exist",
        ),
        (one("Running", ACCEPTED, ("Stalled", "InternalError", "id 4711")), "Degraded", "InternalError: id 4711"),
        (
            one("Succeeded", ("Ready", "Succeeded", ""), seen=2),
            "Progressing",
            "The operator has not seen the change yet",
        ),
    ],
    ids=lambda value: value["status"].get("state", "empty") if isinstance(value, dict) and "status" in value else None,
)
def test_health(obj: Document, status: str, message: str) -> None:
    assert health(obj) == {"status": status, "message": message}


def test_the_chart_holds_the_script(tmp_path: Any) -> None:
    """`helm package` takes it along."""
    manifests.helm("package", str(manifests.CHART), "--destination", str(tmp_path))
    (archive,) = tmp_path.glob("*.tgz")
    with tarfile.open(archive) as packed:
        assert "plato-sas/argocd/health.lua" in packed.getnames()
