"""kubectl and helm against the test platform's cluster."""

import json
import os
import subprocess
from collections.abc import Sequence
from typing import Any

from e2e.layout import BIN, KUBECONFIG
from e2e.processes.command import CommandFailed
from plato_sas.api import Document


def run(program: str, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
    """Run one of the tools in `.local/bin` on the cluster; returns its standard output. Raises CommandFailed."""
    command = [str(BIN / program), *arguments]
    environment = {**os.environ, "KUBECONFIG": str(KUBECONFIG)}
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=timeout, env=environment, check=False
        )
    except FileNotFoundError:
        raise CommandFailed(f"{command[0]} is missing: make cluster") from None
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"{program} {' '.join(arguments[:4])}: did not end within {timeout:.0f} s") from None
    if done.returncode != 0:
        raise CommandFailed(f"{program} {' '.join(arguments[:4])}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def kubectl(*arguments: str, namespace: str | None = None, stdin: str | None = None, timeout: float = 120) -> str:
    """Raises CommandFailed."""
    scope = ("--namespace", namespace) if namespace else ()
    return run("kubectl", *scope, *arguments, stdin=stdin, timeout=timeout)


def get(kind: str, *arguments: str, namespace: str) -> Any:
    """An object, or a list's items. Raises CommandFailed."""
    found = json.loads(kubectl("get", kind, *arguments, "-o", "json", namespace=namespace))
    return found["items"] if found["kind"] == "List" else found


def apply(documents: Sequence[Document], *, namespace: str | None = None) -> None:
    """Server-side apply. Raises CommandFailed."""
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(documents)})
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", namespace=namespace, stdin=body)
