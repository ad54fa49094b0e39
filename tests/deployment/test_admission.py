"""What `kubectl apply` answers with the installed CRDs: a refusal with the field and what is meant."""

import json
import subprocess

import pytest

from e2e.layout import BIN, KUBECONFIG
from plato_sas.api import API_VERSION, Document
from tests.support.bad_specs import BAD_SPECS

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("kind", "spec", "field", "told"), BAD_SPECS, ids=[f"{at}-{field}" for at, (_, _, field, _) in enumerate(BAD_SPECS)]
)
def test_it_is_refused(kind: str, spec: Document, field: str, told: str) -> None:
    document = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "refused"}, "spec": spec}
    command = [str(BIN / "kubectl"), "--kubeconfig", str(KUBECONFIG), "apply", "--dry-run=server", "--filename", "-"]
    done = subprocess.run(command, input=json.dumps(document), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert field in done.stderr
    assert told in done.stderr
    assert "in body should match" not in done.stderr, "nobody reads patterns"
