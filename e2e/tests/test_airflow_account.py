"""What the platform's Airflow may do in the cluster: what its DAGs need, and nothing else."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.airflow.account import account_kubeconfig
from e2e.airflow.settings import Home
from e2e.kubernetes import kubectl, run
from e2e.processes.command import CommandFailed
from e2e.tests.site import API, Site

STAR = "account-star"
CATALOGUE = "account-catalogue"
ELSEWHERE = "kube-system"
# Each as kubectl takes it, against things that exist, so that the answer is about rights.
REFUSED = {
    "delete a star": ("delete", "starprocessing", STAR),
    "change a star's status": ("patch", "starprocessing", STAR, "--subresource=status", "--type=merge", "-p={}"),
    "read pipelines": ("get", "starpipelines"),
    "change a module": ("patch", "sciencemodule", "echo", "--type=merge", "-p={}"),
    "read Secrets": ("get", "secrets"),
    "read ConfigMaps": ("get", "configmaps"),
    "read Jobs": ("get", "jobs"),
    "make a Job": ("create", "job", "account-job", "--image=localhost/plato-sas/synthetic:0.1.0"),
    "read pods": ("get", "pods"),
    "read events": ("get", "events"),
    "run a pod": ("run", "account-pod", "--image=localhost/plato-sas/synthetic:0.1.0"),
    "make tokens": ("create", "token", "default"),
    "give rights": ("create", "rolebinding", "account-more", "--clusterrole=admin", "--serviceaccount=default:default"),
    "read namespaces": ("get", "namespaces"),
    "read nodes": ("get", "nodes"),
    "read volumes": ("get", "persistentvolumes"),
    "change CRDs": ("delete", "crd", "starprocessings.plato-sas.io", "--dry-run=server"),
}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("account") / "kubeconfig"
    file.touch(0o600)
    file.write_text(account_kubeconfig())
    return file


@pytest.fixture(scope="module", autouse=True)
def star(site: Site) -> Iterator[None]:
    site.synthetic("echo", outputs=["ECHO"])
    yield
    kubectl("delete", "starprocessing", STAR, "--ignore-not-found", namespace=site.namespace)
    kubectl("delete", "starcatalogue", CATALOGUE, "--ignore-not-found", namespace=site.namespace)


def test_the_connection_of_airflow_has_the_account_and_not_the_administrators_certificate() -> None:
    home = Home()
    connection = json.loads(home.environment()["AIRFLOW_CONN_PLATO_SAS_KUBERNETES"])
    file = Path(connection["extra"]["kube_config_path"])
    home.write_kubeconfig()
    assert file.stat().st_mode & 0o777 == 0o600
    (user,) = json.loads(file.read_text())["users"]
    assert list(user["user"]) == ["token"]
    assert _as(file, "auth", "whoami", "-o=jsonpath={.status.userInfo.username}").endswith(":plato:airflow")


def test_it_creates_watches_and_changes_stars_and_catalogues(site: Site, account: Path) -> None:
    metadata = {"name": STAR, "namespace": site.namespace}
    spec = {"star": STAR, "campaign": "e2e", "pipeline": "sas-synthetic", "desiredState": "Suspend"}
    star = {"apiVersion": API, "kind": "StarProcessing", "metadata": metadata, "spec": spec}
    _as(account, "create", "-f=-", stdin=json.dumps(star))
    _as(account, "patch", "starprocessing", STAR, "--type=merge", '-p={"spec":{"desiredState":"Cancel"}}', site=site)
    _as(
        account,
        "wait",
        "--for=jsonpath={.status.state}=Cancelled",
        "--timeout=60s",
        f"starprocessing/{STAR}",
        site=site,
    )
    assert STAR in _as(account, "get", "starprocessings", "-o=name", site=site)
    _as(account, "get", "starcatalogues", site=site)
    assert _as(account, "auth", "can-i", "create", "starcatalogues", site=site).strip() == "yes"
    assert _as(account, "auth", "can-i", "patch", "starcatalogues", site=site).strip() == "yes"


@pytest.mark.parametrize("command", REFUSED.values(), ids=REFUSED)
def test_everything_else_is_refused(site: Site, account: Path, command: tuple[str, ...]) -> None:
    with pytest.raises(CommandFailed, match=r"(?i)forbidden"):
        _as(account, *command, site=site)


def test_nothing_of_another_namespace(account: Path) -> None:
    for kind in ("starprocessings", "secrets", "pods"):
        with pytest.raises(CommandFailed, match=r"(?i)forbidden"):
            _as(account, "get", kind, f"--namespace={ELSEWHERE}")


def test_the_api_server_lists_no_further_right(site: Site, account: Path) -> None:
    rows = _as(account, "auth", "can-i", "--list", "--no-headers", site=site).splitlines()
    granted = {re.split(r"\s{2,}", row)[0] for row in rows if not row.startswith(" ") and "selfsubject" not in row}
    assert granted == {"starcatalogues.plato-sas.io", "starprocessings.plato-sas.io"}


def _as(kubeconfig: Path, *arguments: str, site: Site | None = None, stdin: str | None = None) -> str:
    scope = (f"--namespace={site.namespace}",) if site else ()
    assert os.access(kubeconfig, os.R_OK)
    return run("kubectl", f"--kubeconfig={kubeconfig}", *scope, *arguments, stdin=stdin)
