"""The test platform of the pipeline manager and its end-to-end tests.

Run from the repository's root, as `python -m e2e.<part>`.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 (its first parts run on whatever Python the machine has)
    sys.exit(f"error: Python 3.11 or later is needed, this is {sys.version.split()[0]}")
