"""What the tests of the test platform share."""

import pytest

from scripted_runner import ScriptedRunner


@pytest.fixture
def runner() -> ScriptedRunner:
    return ScriptedRunner()
