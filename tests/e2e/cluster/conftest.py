"""What the tests of the test platform share."""

import pytest

from tests.support.scripted_runner import ScriptedRunner


@pytest.fixture
def runner() -> ScriptedRunner:
    return ScriptedRunner()
