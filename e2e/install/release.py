"""The Helm release, with the CRDs before it and the modules and pipelines after it."""

import json

from e2e.cluster.storage import NAMESPACE
from e2e.install.modules import digest, pipelines, science_modules
from e2e.kubernetes import apply, kubectl, run
from e2e.layout import REPOSITORY
from e2e.processes.command import CommandFailed

RELEASE = "plato-sas"
# The platform's one Airflow works in every namespace, with one account.
AIRFLOW_ACCOUNT = {"kind": "ServiceAccount", "name": "airflow", "namespace": NAMESPACE}
_AIRFLOW = tuple(f"rbac.airflow.subjects[0].{key}={value}" for key, value in AIRFLOW_ACCOUNT.items())
_CRDS = REPOSITORY / "crds"
_CHART = REPOSITORY / "charts" / "plato-sas"


def install(namespace: str, *, values: tuple[str, ...] = ()) -> None:
    """Install or upgrade everything; returns when the operator is ready. Raises CommandFailed."""
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(_CRDS))
    kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", str(_CRDS))
    digests = {name: digest(f"localhost/plato-sas/{name}:0.1.0") for name in ("operator", "stager", "catalogue")}
    settings = [f"--set-string=images.{name}.digest={known}" for name, known in digests.items()]
    settings += [f"--set={value}" for value in (*_AIRFLOW, *values)]
    _clear_interrupted(namespace)
    try:
        run(
            "helm",
            *("upgrade", "--install", RELEASE, str(_CHART), "--namespace", namespace, "--skip-crds"),
            *("--wait", "--timeout", "120s", *settings),
            timeout=180,
        )
    except CommandFailed as error:
        log = kubectl("logs", "--tail=20", "--selector=app.kubernetes.io/name=plato-sas", namespace=namespace)
        raise CommandFailed(f"{error}\nThe operator's last lines:\n{log}") from None
    apply([*science_modules(), *pipelines()], namespace=namespace)


def _clear_interrupted(namespace: str) -> None:
    """Remove a release whose installation was interrupted: Helm would refuse any further one."""
    releases = json.loads(run("helm", "list", "--all", "--namespace", namespace, "--output", "json"))
    if any(one["name"] == RELEASE and one["status"].startswith("pending-") for one in releases):
        uninstall(namespace)


def uninstall(namespace: str) -> None:
    """Remove the operator; the resources, the CRDs and the products stay. Raises CommandFailed."""
    run("helm", "uninstall", RELEASE, "--namespace", namespace, "--wait", "--ignore-not-found")
