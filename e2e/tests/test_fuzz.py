"""Some hundred resources of any form on a real API server and operator; `make fuzz` tries thousands."""

import pytest

from e2e.endpoint import endpoint
from e2e.fuzz.resources import PIPELINE, Api
from e2e.fuzz.run import RESOURCES, run_resources
from e2e.fuzz.site import operator_is_well, prepare
from e2e.fuzz.tally import Tally
from e2e.tests.site import Site

CASES = 300
SEED = 20261127


@pytest.fixture(scope="module")
def tally(site: Site) -> Tally:
    prepare(site, PIPELINE)
    found = Tally(SEED)
    run_resources(found, Api(endpoint(), site.namespace), range(CASES))
    return found


def test_each_resource_is_refused_rejected_or_accepted(tally: Tally) -> None:
    assert tally.findings == []
    assert set(tally.outcomes) == set(RESOURCES)
    assert sum(counted.total() for counted in tally.outcomes.values()) == CASES
    assert tally.outcomes["StarProcessing"].keys() >= {"refused", "rejected", "accepted"}


def test_the_operator_is_well_after_it(site: Site, tally: Tally) -> None:
    assert [one for one in operator_is_well(site) if "outside" not in one] == []
