"""The account that the platform's Airflow has in the cluster: its Role's rights and no others."""

import json

import yaml

from e2e.cluster.storage import NAMESPACE
from e2e.install.release import AIRFLOW_ACCOUNT
from e2e.kubernetes import apply, kubectl
from e2e.layout import KUBECONFIG

# A new token is made whenever Airflow is brought up. A demo that is left alone longer needs another `make demo`.
_TOKEN_HOURS = 7 * 24


def account_kubeconfig() -> str:
    """A kubeconfig with a new token of the account, which is made if it is not there. Raises CommandFailed."""
    name = AIRFLOW_ACCOUNT["name"]
    metadata = {"name": name, "namespace": NAMESPACE}
    apply([{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "automountServiceAccountToken": False}])
    token = kubectl("create", "token", name, f"--duration={_TOKEN_HOURS}h", namespace=NAMESPACE).strip()
    admin = yaml.safe_load(KUBECONFIG.read_text())
    current = next(one for one in admin["contexts"] if one["name"] == admin["current-context"])
    cluster = next(one for one in admin["clusters"] if one["name"] == current["context"]["cluster"])
    context = {"cluster": cluster["name"], "user": name, "namespace": NAMESPACE}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
    }
    return json.dumps(document)  # which is YAML
