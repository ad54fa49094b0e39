"""The module's run: search and publication in one, or one of the baseline's two steps (`--step`)."""

import argparse
import logging
import sys

from msap4_03 import NAME, VERSION
from msap4_03.period import publish, read_period
from sas_products import InputError, Step, run

CANDIDATES, ACTIVITY = "IDP_SAS_PROT_NOSPOT", "IDP_SAS_S_PHOTO_INDEX"


def both(step: Step) -> None:
    """Read the light curve, find the period, publish it if it is sure enough."""
    from msap4_03.candidates import search, write_candidates

    found = search(step)
    detected = found.period.detected(step.number("score_min"))
    write_candidates(step, found, detected)
    publish(step, found.period, found.activity() if detected else None, detected)


def msap4_03(step: Step) -> None:
    """Read the light curve, write the candidates with ROOSTER's choice, and S_ph for that period."""
    # Takes seconds to import, and msap4-07 needs none of it.
    from msap4_03.candidates import search, write_candidates

    found = search(step)
    write_candidates(step, found)
    if found.period.searched:
        step.write_scalars(ACTIVITY, found.activity(), method=f"star-privateer 1.3.1, period of {found.period.method}")
    step.write_facts({"prot_score": found.period.score})


def msap4_07(step: Step) -> None:
    """Read what msap4-03 chose, publish it if it is sure enough. Raises `InputError`."""
    period = read_period(step.require(CANDIDATES), CANDIDATES)
    activity = step.read_scalar(ACTIVITY) if step.input(ACTIVITY) else None
    if activity is not None and activity.unit != "ppm":
        raise InputError(f"{ACTIVITY}: value: expected the unit ppm, found {activity.unit!r}")
    publish(step, period, activity, period.detected(step.number("score_min")))


STEPS = {"both": both, "msap4-03": msap4_03, "msap4-07": msap4_07}


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format=f"{NAME}: %(message)s", stream=sys.stdout, force=True)
    parser = argparse.ArgumentParser(prog=NAME, description="Rotation period and photometric activity of one star.")
    parser.add_argument("--step", choices=STEPS, default="both", help="default: both in one")
    sys.exit(run(STEPS[parser.parse_args().step], module=NAME, version=VERSION))
