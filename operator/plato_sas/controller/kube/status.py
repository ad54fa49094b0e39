"""The last step of a reconciliation: patch the status where it differs."""

from plato_sas.api import Document
from plato_sas.controller.kube.client import KubeClient
from plato_sas.controller.kube.merge_patch import difference
from plato_sas.controller.kube.resources import Kind


async def write_status(client: KubeClient, owner: Kind, stored: Document, status: Document) -> Document | None:
    """Patch the status of a stored star or catalogue; returns the object as stored then, None if nothing differs.

    Raises NotFound if the object is gone, another ApiError if the write failed.
    """
    changed = difference(stored.get("status", {}), status)
    if not changed:
        return None
    # The uid makes sure that it is this object, not a new one of the same name.
    body = {"metadata": {"uid": stored["metadata"]["uid"]}, "status": changed}
    return await client.patch(owner, stored["metadata"]["name"], body, "status")
