"""`python -m plato_sas.collector prepare|collect`, the commands of a catalogue's two containers."""

import argparse
import os
import sys
import time
from pathlib import Path

from plato_sas.collector.order import CAMPAIGN_MOUNT, CATALOGUES, CATALOGUES_MOUNT, ORDER_VARIABLE, CatalogueOrder
from plato_sas.stager.roots import PRODUCTS_MOUNT, TERMINATION_LOG
from plato_sas.text import printable

_FAILED = 2
_TEMPORARY = 75  # the volume is at fault: a retry may help


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="plato_sas.collector",
        description="Makes the folder for a campaign's catalogues (prepare); makes a catalogue of its products "
        "(collect).",
        epilog=f"What to make is in the environment: {ORDER_VARIABLE}. SAS_ROOT moves the mounts (for tests).",
    )
    parser.add_argument("action", choices=["prepare", "collect"])
    action = parser.parse_args().action
    text = os.environ.get(ORDER_VARIABLE)
    if text is None:
        return _failed(f"the environment variable {ORDER_VARIABLE} is not set", _FAILED)
    os.umask(0o022)
    order = CatalogueOrder.from_json(text)
    base = os.environ.get("SAS_ROOT", "")
    try:
        return _prepare(order, base) if action == "prepare" else _collect(order, base)
    except OSError as error:
        return _failed(str(error), _TEMPORARY)


def _prepare(order: CatalogueOrder, base: str) -> int:
    """Create the folder that the main container mounts; the kubelet would create it with root as its owner."""
    campaign = Path(base + PRODUCTS_MOUNT) / order.campaign
    if not campaign.is_dir():
        return _failed(f"campaign {order.campaign!r} has no folder in the product tree", _FAILED)
    (campaign / CATALOGUES).mkdir(exist_ok=True)
    return 0


def _collect(order: CatalogueOrder, base: str) -> int:
    from plato_sas.collector.collect import CollectionFailed, Roots, collect

    began = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - began:6.1f} s] {line}", flush=True)

    try:
        report = collect(order, Roots(Path(base + CAMPAIGN_MOUNT), Path(base + CATALOGUES_MOUNT)), say)
    except CollectionFailed as error:
        return _failed(str(error), _FAILED)
    Path(base + TERMINATION_LOG).write_text(report.to_json())
    return 0


def _failed(problem: str, code: int) -> int:
    print(f"catalogue: error: {printable(' '.join(problem.split()))}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
