"""The demo stars with the real modules: results within tolerance of what is published, or of the simulation's truth."""

import pytest

from e2e.demo import inputs, results
from e2e.tests.site import Site, give_demo_stars, states
from plato_sas.api import Document

CAMPAIGN = "science"
OSCILLATING = ("kic-6603624", "psls-0001")
ROTATING = ("kic-3733735", "kic-8006161", "kic-10644253")
# Largest relative difference from the reference, by quantity: what the method can do, not what it happened to give.
TOLERANCES = {"nu_max": 0.06, "delta_nu": 0.01, "prot": 0.15, "mass": 0.20, "radius": 0.08, "age": 0.35}


@pytest.fixture(scope="module")
def statuses(site: Site) -> dict[str, Document]:
    """Every demo star's status after its run."""
    give_demo_stars(site, *inputs.STARS)
    for star in inputs.STARS:
        site.start(star, pipeline="sas-demo", campaign=CAMPAIGN)
    return {star: site.finished(star, 600) for star in inputs.STARS}


def test_every_star_succeeds(statuses: dict[str, Document]) -> None:
    assert {star: status["state"] for star, status in statuses.items()} == dict.fromkeys(inputs.STARS, "Succeeded")


@pytest.mark.parametrize("star", ROTATING)
def test_no_oscillations_are_seen_at_long_cadence(statuses: dict[str, Document], star: str) -> None:
    assert statuses[star]["facts"]["msap3-03"]["osc_detection_flag"] is False
    assert states(statuses[star])["msap5-12"] == "Skipped"
    assert statuses[star]["facts"]["msap4-03"]["prot_detected"] is True


@pytest.mark.parametrize("star", OSCILLATING)
def test_oscillations_are_seen_at_short_cadence(statuses: dict[str, Document], star: str) -> None:
    assert statuses[star]["facts"]["msap3-03"]["osc_detection_flag"] is True
    assert states(statuses[star])["msap5-12"] == "Succeeded"


def test_results_agree_with_what_is_published(site: Site, statuses: dict[str, Document]) -> None:
    found = results.rows(site.products / CAMPAIGN, site.inputs, statuses)
    print("\n" + results.table(found))
    compared = {(row.star, row.quantity.key): row for row in found if row.difference is not None}
    expected = {("kic-6603624", key) for key in ("nu_max", "delta_nu", "mass", "radius", "age")}
    expected |= {(star, "prot") for star in ROTATING}
    expected |= {("psls-0001", key) for key in ("nu_max", "delta_nu", "mass", "radius")}
    assert expected <= compared.keys()
    # Written so that a result that is not a number is wrong too.
    wrong = [row for key, row in compared.items() if not abs(row.difference or 0.0) <= TOLERANCES[key[1]]]
    assert not wrong, results.table(wrong)
