"""What the stars are doing, as lines on the terminal."""

from typing import Any

from e2e.kubernetes import get

_LABELS = {"Succeeded": "done", "Skipped": "skipped", "Failed": "FAILED", "Running": "runs", "Waiting": "waits"}


class StarProgress:
    """Prints every step's change of state, once."""

    def __init__(self, namespace: str, campaign: str) -> None:
        self._namespace = namespace
        self._campaign = campaign
        self._seen: dict[tuple[str, str], str] = {}

    def show(self) -> None:
        """Look once, and print what is new."""
        for star in processings(self._namespace, self._campaign):
            status = star.get("status", {})
            name = star["spec"]["star"]
            for step in status.get("steps", []):
                self._show_step(name, step, status.get("progress", ""))

    def _show_step(self, star: str, step: dict[str, Any], progress: str) -> None:
        state = step["state"]
        if state == "Running" and step.get("reason"):
            state = "Waiting"
        if state == "Pending" or self._seen.get((star, step["name"])) == state:
            return
        self._seen[star, step["name"]] = state
        reason = f" ({step['reason']})" if step.get("reason") else ""
        print(f"  {star:<14} {step['name']:<10} {_LABELS.get(state, state)}{reason}  [{progress}]", flush=True)


def processings(namespace: str, campaign: str) -> list[dict[str, Any]]:
    """The campaign's StarProcessings."""
    found = get("starprocessings", namespace=namespace)
    return [star for star in found if star["spec"]["campaign"] == campaign]
