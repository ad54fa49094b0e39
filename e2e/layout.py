"""Where the test platform keeps its files: everything is under `.local/` of the checkout, which git ignores."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
LOCAL = REPOSITORY / ".local"
BIN = LOCAL / "bin"
KUBECONFIG = LOCAL / "kubeconfig"
CLUSTER = LOCAL / "cluster"
VOLUMES = LOCAL / "volumes"
