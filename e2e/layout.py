"""Where the test platform keeps its files: everything is under `.local/` of the checkout, which git ignores."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
LOCAL = REPOSITORY / ".local"
BIN = LOCAL / "bin"
STATE = REPOSITORY / (os.environ.get("PLATO_SAS_STATE") or LOCAL)
"""What belongs to the cluster in use. Another folder: a second cluster of this checkout, beside the first."""
KUBECONFIG = STATE / "kubeconfig"
CLUSTER = STATE / "cluster"
VOLUMES = STATE / "volumes"
