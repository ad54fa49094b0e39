"""Command line: ``dp1_psls [--out FOLDER] [--seed SEED]``."""

import argparse
import sys
import tempfile
from pathlib import Path

from dp1_psls.simulation import MAGNITUDE, SEED, Simulation, simulate, transit_kit
from dp1_psls.truth import truth, write_truth
from sas_products import ModuleFailure, StarData, place_input, write_dp1, write_product, write_star_data

PSLS = Path("/opt/psls")
STAR = "psls-0001"
KIT = "IDP_EAS_TRANSIT_REMOVAL_KIT"


def main(arguments: list[str]) -> int:
    """Simulate the star and write its inputs; returns the exit code."""
    parser = argparse.ArgumentParser(prog="dp1-psls", description=f"Writes <out>/{STAR}/<identifier>.<ext>.")
    parser.add_argument("--out", type=Path, default=Path("/sas/out"), help="the inputs volume (default /sas/out)")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the simulation (default {SEED})")
    parser.add_argument("--psls", type=Path, default=PSLS, help="folder of PSLS")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as folder:
            print("simulating 90 days with PSLS 2.0", flush=True)
            simulation = simulate(options.psls, options.seed, Path(folder))
        write_star(simulation, options.seed, options.out / STAR)
    except (ModuleFailure, OSError) as error:
        print(f"dp1-psls: error: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, ModuleFailure) else 2
    return 0


def write_star(simulation: Simulation, seed: int, folder: Path) -> None:
    """Write the star's files where they are missing or differ."""
    attributes = {"SAS_STAR": STAR, "module": "dp1-psls", "version": "0.1.0"}
    known = truth(simulation, seed)
    star = StarData(
        teff_k=float(simulation.attributes["teff"]),
        e_teff_k=70.0,
        logg=round(float(simulation.attributes["logg"]), 3),
        e_logg=0.1,
        magnitude=MAGNITUDE,
        source="PSLS 2.0 simulation: true values; uncertainties as of a good spectrum",
    )
    writers = {
        "DP1_LC_MERGED.h5": lambda path: write_dp1(path, simulation.series, attributes),
        f"{KIT}.h5": lambda path: write_product(path, KIT, transit_kit(simulation), attributes),
        "PFU_STAR_DATA.json": lambda path: write_star_data(path, star),
        "TRUTH.json": lambda path: write_truth(path, known),
    }
    for name, writer in writers.items():
        written = place_input(folder / name, writer)
        print(f"{STAR}: {name} {'written' if written else 'unchanged'}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
