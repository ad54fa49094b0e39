"""Puts the builders and simulators that several test folders share on the import path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
