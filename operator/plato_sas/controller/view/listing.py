"""The view beside a complete list: a watch can lose a deletion, and knows nothing at the start."""

from plato_sas.controller.kube.client import KubeClient
from plato_sas.controller.kube.resources import Kind
from plato_sas.controller.view.view import View


async def relist(client: KubeClient, view: View, kind: Kind) -> set[str]:
    """List every object of a kind into the view, a page at a time; the stars that it touches. Raises ApiError.

    What was known before and is not in the list is gone. What is made during the list may not be in it, and stays.
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
