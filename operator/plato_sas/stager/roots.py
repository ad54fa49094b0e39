"""Where the volumes are mounted in the stager's containers."""

import os
from pathlib import Path
from typing import NamedTuple

INPUTS_MOUNT = "/sas/inputs"
PRODUCTS_MOUNT = "/sas/products"
WORK_MOUNT = "/sas/work"
TERMINATION_LOG = "/dev/termination-log"


class Roots(NamedTuple):
    """Folders that the stager works in; `work` belongs to the pod and is deleted with it."""

    inputs: Path
    products: Path
    work: Path
    termination_log: Path

    @classmethod
    def of_pod(cls) -> "Roots":
        """The mounts of a stage's pod; SAS_ROOT relocates them (for tests)."""
        base = os.environ.get("SAS_ROOT", "")
        return cls(
            Path(base + INPUTS_MOUNT),
            Path(base + PRODUCTS_MOUNT),
            Path(base + WORK_MOUNT),
            Path(base + TERMINATION_LOG),
        )
