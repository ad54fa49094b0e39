"""A fresh pod for every test."""

from pathlib import Path

import pytest

from sas_pod import Pod


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path)
