"""Checks whether components answer."""

import json
import ssl
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from e2e.cluster.commands import run
from e2e.cluster.errors import ClusterError
from e2e.cluster.settings import NODE, Settings

# The cluster's addresses are this machine's own: a proxy in the user's environment must not be used.
_NO_PROXY = urllib.request.ProxyHandler({})


def _get(url: str, *, authority: Path | None = None, client: Path | None = None, timeout: float = 5) -> bytes:
    handlers: list[urllib.request.BaseHandler] = [_NO_PROXY]
    if authority is not None:
        context = ssl.create_default_context(cafile=str(authority))
        if client is not None:
            context.load_cert_chain(client.with_suffix(".crt"), client.with_suffix(".key"))
        handlers.append(urllib.request.HTTPSHandler(context=context))
    with urllib.request.build_opener(*handlers).open(url, timeout=timeout) as response:
        content: bytes = response.read()
    return content


def http_ok(url: str, *, authority: Path | None = None) -> str:
    """Empty if the address answers with success, else what happened."""
    try:
        _get(url, authority=authority)
    except urllib.error.HTTPError as error:
        return f"{url}: {error.code} {error.reason}"
    except (OSError, ValueError) as error:
        return f"{url}: {getattr(error, 'reason', error)}"
    return ""


def containerd_answers(settings: Settings) -> str:
    """Empty if containerd answers on its socket, else what happened."""
    try:
        run([*settings.ctr(), "version"], timeout=10)
    except ClusterError as error:
        return str(error)
    return ""


def node(settings: Settings) -> dict[str, Any]:
    """The Node object. Raises ClusterError."""
    url = f"{settings.server}/api/v1/nodes/{NODE}"
    try:
        found: dict[str, Any] = json.loads(
            _get(url, authority=settings.pki / "ca.crt", client=settings.pki / "admin.crt")
        )
    except (OSError, ValueError) as error:
        raise ClusterError(f"{url}: {error}") from error
    return found


def node_ready(settings: Settings, *, since: float = 0.0) -> str:
    """Empty if the kubelet reported, at or after the Unix time `since`, that its node is ready; else what is wrong.

    After a kubelet died, its last report stands for a while: only a later one says that the node is ready now.
    """
    try:
        conditions = node(settings).get("status", {}).get("conditions", [])
    except ClusterError as error:
        return str(error)
    for condition in conditions:
        if condition["type"] == "Ready":
            reported = datetime.strptime(condition["lastHeartbeatTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            if reported.timestamp() < int(since):
                return f"node {NODE}: no report since its kubelet started"
            return "" if condition["status"] == "True" else f"node {NODE}: {condition.get('message', 'not ready')}"
    return f"node {NODE}: no report yet"
