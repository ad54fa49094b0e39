"""The operator's Role holds exactly the requests that the controller's code makes."""

import ast
from pathlib import Path
from typing import Any

import pytest

from plato_sas import controller
from plato_sas.api import Document
from plato_sas.controller.kube import resources
from plato_sas.controller.kube.lease import LEASE
from plato_sas.controller.kube.resources import CATALOGUE, PROCESSING, WATCHED, Kind

Permission = tuple[str, str, str]  # API group, resource, verb

KINDS = {name: value for name, value in {**vars(resources), "LEASE": LEASE}.items() if isinstance(value, Kind)}
# KubeClient's methods, each a verb; `stream` reads.
_VERBS = {"list": "list", "get": "get", "create": "create", "patch": "patch", "delete": "delete", "stream": "get"}
_SUBRESOURCE = {"patch": 3, "stream": 2}  # which argument it is
_CLIENTS = {"_client", "client"}
# A loop's variable goes through all that is watched; statuses are those of stars and catalogues.
_VARIABLES = {"kind": WATCHED, "owner": (PROCESSING, CATALOGUE)}


def permission(kind: Kind, verb: str, subresource: str | None = None) -> Permission:
    return kind.group, f"{kind.plural}/{subresource}" if subresource else kind.plural, verb


def requests(source: Path) -> set[Permission]:
    """The requests that a module makes through a KubeClient, read from its code."""
    found: set[Permission] = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _VERBS):
            continue
        holder = node.func.value
        holder_name = getattr(holder, "attr", getattr(holder, "id", None))
        if holder_name not in _CLIENTS:
            continue
        kind = node.args[0]
        assert isinstance(kind, ast.Name), f"{source.name}:{node.lineno}: the kind is not a plain name"
        place = _SUBRESOURCE.get(node.func.attr, len(node.args))
        given = [*node.args[place : place + 1], *(one.value for one in node.keywords if one.arg == "subresource")]
        subresources = [str(value.value) for value in given if isinstance(value, ast.Constant)]
        kinds = _VARIABLES.get(kind.id) or (KINDS[kind.id],)
        found |= {permission(one, _VERBS[node.func.attr], *subresources) for one in kinds}
    return found


def granted(role: Document) -> set[Permission]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def role(documents: list[Document], name: str) -> Document:
    (found,) = [item for item in documents if item["kind"] == "Role" and item["metadata"]["name"] == name]
    return found


def test_role_equals_the_requests_made(defaults: list[Document]) -> None:
    folder = Path(controller.__file__).parent
    made = set().union(*(requests(path) for path in folder.rglob("*.py")))
    assert permission(LEASE, "patch") in made
    assert permission(resources.POD, "get", "log") in made
    assert permission(resources.PROCESSING, "patch", "status") in made
    assert permission(resources.JOB, "create") in made
    # kopf lists and watches these.
    watches = {permission(kind, verb) for kind in (*WATCHED, CATALOGUE) for verb in ("list", "watch")}
    assert granted(role(defaults, "plato-sas-operator")) == made | watches


def test_nothing_is_granted_by_wildcard_or_name(defaults: list[Document]) -> None:
    for document in defaults:
        if document["kind"] == "Role":
            assert not any("*" in part for entry in granted(document) for part in entry)


def test_only_its_own_lease_can_be_read_or_written(render: Any, defaults: list[Document]) -> None:
    for documents, name in ((defaults, "plato-sas-operator"), (render("fullnameOverride=other"), "other-operator")):
        rules = [rule for rule in role(documents, name)["rules"] if rule["apiGroups"] == [LEASE.group]]
        assert {tuple(rule["verbs"]): rule.get("resourceNames") for rule in rules} == {
            ("create",): None,
            ("get", "patch"): [name],
        }


def test_without_logs_no_log_can_be_read(render: Any) -> None:
    logs = permission(resources.POD, "get", "log")
    assert logs in granted(role(render(), "plato-sas-operator"))
    assert logs not in granted(role(render("controller.logs.keep=false"), "plato-sas-operator"))


def test_nothing_is_cluster_wide(render: Any, defaults: list[Document]) -> None:
    everything = render("rbac.airflow.serviceAccount.create=true", "storage.inputs.create=true")
    for document in defaults + everything:
        assert not document["kind"].startswith("Cluster")


def test_airflow_sees_stars_and_catalogues_only(defaults: list[Document]) -> None:
    verbs = ("get", "list", "watch", "create", "patch")
    expected = {permission(kind, verb) for kind in (resources.PROCESSING, CATALOGUE) for verb in verbs}
    assert granted(role(defaults, "plato-sas-airflow")) == expected


@pytest.mark.parametrize("verb", ["create", "patch", "delete"])
def test_users_write_stars_and_catalogues_only(defaults: list[Document], verb: str) -> None:
    written = {(group, what) for group, what, one in granted(role(defaults, "plato-sas-user")) if one == verb}
    assert written == {(kind.group, kind.plural) for kind in (resources.PROCESSING, CATALOGUE)}


def test_binding_names_the_operators_account(defaults: list[Document]) -> None:
    (binding,) = [item for item in defaults if item["kind"] == "RoleBinding"]
    (deployment,) = [item for item in defaults if item["kind"] == "Deployment"]
    account = deployment["spec"]["template"]["spec"]["serviceAccountName"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "plato"}]
    assert binding["roleRef"]["name"] == "plato-sas-operator"
