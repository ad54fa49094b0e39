"""The module's run: a light curve in, series and spectra out; all at once, or one step of the baseline (`--step`)."""

import argparse
import sys
import time

from msap1.filters import clip_outliers, fill_gaps, high_pass
from msap1.grid import SECONDS_PER_DAY, Grid, bin_cells, regrid, to_grid
from msap1.spectrum import nyquist_uhz, power_spectrum
from msap1.transits import FLAG, has_transits, remove_transits
from msap1.transits import IDENT as KIT
from sas_products import InputError, ScienceError, Step, run

MODULE = "msap1"
VERSION = "0.1.0"

NU_MAX = "DP3_SAS_NU_MAX"
NU_MAX_PERIODS = 4.0
"""Periods of nu_max that the long-term filter must pass: oscillations reach down to about half of nu_max."""


def fused(step: Step) -> None:
    """Read the inputs, make the six products and the facts."""
    started = time.monotonic()
    varlc = _varlc(step)
    _write(step, "IDP_SAS_VAR", "", varlc)
    _write(step, "IDP_SAS_AAR", "", high_pass(varlc, step.number("aarlc_filter_d")))
    _write(step, "IDP_SAS_VAR", "_BINNED", bin_cells(varlc, 60.0 * step.number("bin_min")))
    print(f"six products written after {time.monotonic() - started:.1f} s", flush=True)


def msap1_01(step: Step) -> None:
    """Level-1 curve to VARLC: transits and outliers out, gaps filled."""
    _write(step, "IDP_SAS_VAR", "", _varlc(step))


def msap1_07(step: Step) -> None:
    """VARLC to AARLC: the long-term filter."""
    varlc = regrid(step.read_series("IDP_SAS_VARLC"))
    _write(step, "IDP_SAS_AAR", "", high_pass(varlc, _aarlc_filter_d(step)))


def msap1_08(step: Step) -> None:
    """VARLC to bins."""
    varlc = regrid(step.read_series("IDP_SAS_VARLC"))
    _write(step, "IDP_SAS_VAR", "_BINNED", bin_cells(varlc, 60.0 * step.number("bin_min")))


def _aarlc_filter_d(step: Step) -> float:
    """The filter's width: as the parameter says, wider for a star that is known to oscillate slowly."""
    width = step.number("aarlc_filter_d")
    if not step.input(NU_MAX) or width == 0:
        return width
    nu_max = step.read_scalar(NU_MAX)
    if nu_max.unit != "uHz" or nu_max.value <= 0:
        raise InputError(
            f"{NU_MAX}: value: expected a positive frequency in uHz, found {nu_max.value!r} {nu_max.unit!r}"
        )
    needed = NU_MAX_PERIODS / (nu_max.value * 1e-6 * SECONDS_PER_DAY)
    print(f"{NU_MAX} {nu_max.value:.1f} uHz: filter of {max(width, needed):.3g} d", flush=True)
    return max(width, needed)


def _varlc(step: Step) -> Grid:
    """The curve for variability: on a grid, without transits and outliers, filtered, gaps filled."""
    series = step.read_dp1()
    print(f"DP1_LC_MERGED: {series.time.size} samples over {series.time[-1] - series.time[0]:.1f} d", flush=True)
    if (kit := step.input(KIT)) is not None:
        series = remove_transits(series, kit)
        print(f"transits removed with {KIT}", flush=True)
    elif (flag := step.input(FLAG)) is not None and has_transits(flag):
        raise InputError(f"{KIT}: absent, and {FLAG} says that the star has transits")
    grid = to_grid(series, step.number("min_cadence_s"))
    clipped = clip_outliers(grid, step.number("clip_sigma"), step.number("clip_width_d"))
    print(f"{grid.there.sum() - clipped.there.sum()} outliers dropped of {grid.there.sum()} cells", flush=True)
    if not clipped.there.any() or not clipped.flux[clipped.there].std() > 0:
        raise ScienceError("DP1_LC_MERGED: the flux is constant")
    step.write_facts(
        {
            "cadence_s": clipped.cadence_s,
            "duration_d": clipped.duration_d,
            "duty_cycle": clipped.duty_cycle,
            "nyquist_uhz": nyquist_uhz(clipped),
        }
    )
    filtered = high_pass(clipped, step.number("varlc_filter_d"))
    return fill_gaps(filtered, step.number("max_gap_d"))


def _write(step: Step, stem: str, suffix: str, grid: Grid) -> None:
    step.write_series(f"{stem}LC{suffix}", grid.series(), cadence_s=grid.cadence_s)
    step.write_spectrum(f"{stem}PSD{suffix}", power_spectrum(grid), cadence_s=grid.cadence_s)


STEPS = {"all": fused, "msap1-01": msap1_01, "msap1-07": msap1_07, "msap1-08": msap1_08}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog=MODULE, description="Series and power spectra of one star's light curve.")
    parser.add_argument("--step", choices=STEPS, default="all", help="default: all in one")
    sys.exit(run(STEPS[parser.parse_args().step], module=MODULE, version=VERSION))
