"""Command line: ``dp1_kepler [--out FOLDER] [STAR ...]``."""

import argparse
import sys
from pathlib import Path

from dp1_kepler.light_curve import read_light_curve
from dp1_kepler.stars import STARS, Star, star_data
from sas_products import ModuleFailure, place_input, write_dp1, write_star_data

DATA = Path("/opt/light-curves")
ATTRIBUTES = {"module": "dp1-kepler", "version": "0.1.0"}


def main(arguments: list[str]) -> int:
    """Write the stars' inputs; returns the exit code."""
    parser = argparse.ArgumentParser(prog="dp1-kepler", description="Writes <out>/<star>/<identifier>.<ext>.")
    parser.add_argument("stars", nargs="*", metavar="STAR", help=f"default: all ({', '.join(STARS)})")
    parser.add_argument("--out", type=Path, default=Path("/sas/out"), help="the inputs volume (default /sas/out)")
    parser.add_argument("--data", type=Path, default=DATA, help="where the light curves are")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.stars if name not in STARS]:
        parser.error(f"unknown star {unknown[0]!r} (there are {', '.join(STARS)})")
    try:
        for name in options.stars or STARS:
            write_star(STARS[name], options.data, options.out / name)
    except (ModuleFailure, OSError) as error:
        print(f"dp1-kepler: error: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, ModuleFailure) else 2
    return 0


def write_star(star: Star, data: Path, folder: Path) -> None:
    """Write one star's light curve and classical data where they are missing or differ."""
    series = read_light_curve(data / star.file_name)
    attributes = {**ATTRIBUTES, "SAS_STAR": star.ident}
    known = star_data(star, data)
    done = {
        "DP1_LC_MERGED.h5": place_input(folder / "DP1_LC_MERGED.h5", lambda path: write_dp1(path, series, attributes)),
        "PFU_STAR_DATA.json": place_input(folder / "PFU_STAR_DATA.json", lambda path: write_star_data(path, known)),
    }
    for name, written in done.items():
        print(f"{star.ident}: {name} {'written' if written else 'unchanged'}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
