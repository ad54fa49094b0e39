"""Puts the reference modules' code on the import path, as their images do."""

import sys
from pathlib import Path

MODULES = Path(__file__).resolve().parents[2] / "modules"

for folder in (MODULES, *(path.parent for path in sorted(MODULES.glob("*/pyproject.toml")))):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
