"""Small things that several benchmarks do with StarProcessings."""

from e2e.kubernetes import kubectl

_DELETE_SECONDS = 300


def remove_stars(namespace: str) -> None:
    """Delete every star and wait until its Jobs and pods have gone with it. Raises CommandFailed."""
    kubectl(
        *("delete", "starprocessings", "--all", "--cascade=foreground", f"--timeout={_DELETE_SECONDS}s"),
        namespace=namespace,
        timeout=_DELETE_SECONDS + 10,
    )
