"""Bring the view up to date with a complete list: at the start, and because a watch can lose a deletion."""

from plato_sas.controller.kube.client import KubeClient
from plato_sas.controller.kube.resources import Kind
from plato_sas.controller.view.view import View


async def relist(client: KubeClient, view: View, kind: Kind) -> set[str]:
    """List all objects of a kind into the view, page by page; returns the stars concerned. Raises ApiError.

    Objects known before but not in the list are gone. Objects created during the list may be missing in it, and stay.
    """
    missing = view.names_by_uid(kind)
    touched: set[str] = set()
    async for items in client.pages(kind):
        for item in items:
            missing.pop(item["metadata"]["uid"], None)
            touched |= view.put(kind, item)
    for uid, name in missing.items():
        touched |= view.forget(kind, name, uid)
    return touched
