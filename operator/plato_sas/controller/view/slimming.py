"""What the view keeps of an object: of tens of thousands, only the fields that are read."""

from plato_sas.api import Document
from plato_sas.controller.kube.resources import JOB, POD, Kind

_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_POD_STATUS = ("phase", "reason", "message", "startTime", "conditions")
_CONTAINER_STATUSES = ("initContainerStatuses", "containerStatuses")


def slim(kind: Kind, item: Document) -> Document:
    """The object without the fields that the operator never reads."""
    metadata = {key: value for key, value in item["metadata"].items() if key != "managedFields"}
    if _APPLIED in metadata.get("annotations", ()):
        metadata["annotations"] = {key: one for key, one in metadata["annotations"].items() if key != _APPLIED}
    if kind is JOB:
        pod = item["spec"]["template"]["spec"]
        names = [{"name": one["name"]} for one in pod.get("initContainers", [])]
        spec: Document = {"template": {"spec": {"initContainers": names}}}
        if "suspend" in item["spec"]:
            spec["suspend"] = item["spec"]["suspend"]
        return {"metadata": metadata, "spec": spec, "status": item.get("status", {})}
    if kind is POD:
        spec = {key: item["spec"][key] for key in ("nodeName", "activeDeadlineSeconds") if key in item["spec"]}
        spec["initContainers"] = [_with_limits(one) for one in item["spec"].get("initContainers", [])]
        return {"metadata": metadata, "spec": spec, "status": _pod_status(item.get("status", {}))}
    return {**item, "metadata": metadata}


def _with_limits(container: Document) -> Document:
    return {"name": container["name"], "resources": {"limits": container.get("resources", {}).get("limits", {})}}


def _pod_status(status: Document) -> Document:
    kept = {key: status[key] for key in _POD_STATUS if key in status}
    for key in _CONTAINER_STATUSES:
        if key in status:
            kept[key] = [{"name": one["name"], "state": one.get("state", {})} for one in status[key]]
    return kept
