"""Objects as small as the view can do with."""

from plato_sas.api import Document
from plato_sas.jobs.names import JOB_NAME_LABEL, PROCESSING_LABEL, label_value


def star(
    name: str, version: int = 1, uid: str = "", folder: str | None = None, revision: str | None = None
) -> Document:
    status = {"status": {"revision": revision}} if revision else {}
    return {
        "metadata": {"name": name, "uid": uid or name, "resourceVersion": str(version)},
        "spec": {"star": folder or name, "campaign": "q1"},
    } | status


def job(name: str, of: str, version: int = 1, uid: str = "", owner: str = "") -> Document:
    labels = {PROCESSING_LABEL: label_value(of)}
    return {
        "metadata": {
            "name": name,
            "uid": uid or name,
            "resourceVersion": str(version),
            "labels": labels,
            "ownerReferences": [{"uid": owner or of, "controller": True}],
        },
        "spec": {"template": {"spec": {}}},
    }


def pod(name: str, of_job: str, of: str, version: int = 1) -> Document:
    labels = {PROCESSING_LABEL: label_value(of), JOB_NAME_LABEL: of_job}
    return {"metadata": {"name": name, "uid": name, "resourceVersion": str(version), "labels": labels}, "spec": {}}
