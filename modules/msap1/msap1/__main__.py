"""The module's run: one light curve in, series and spectra out."""

import sys
import time

from msap1.filters import clip_outliers, fill_gaps, high_pass
from msap1.grid import Grid, bin_cells, to_grid
from msap1.spectrum import nyquist_uhz, power_spectrum
from msap1.transits import IDENT as KIT
from msap1.transits import remove_transits
from sas_products import ScienceError, Step, run

MODULE = "msap1"
VERSION = "0.1.0"


def main(step: Step) -> None:
    """Read the inputs, make the six products and the facts."""
    started = time.monotonic()
    varlc = _varlc(step)
    aarlc = high_pass(varlc, step.number("aarlc_filter_d"))
    binned = bin_cells(varlc, 60.0 * step.number("bin_min"))
    _write(step, "IDP_SAS_VAR", "", varlc)
    _write(step, "IDP_SAS_AAR", "", aarlc)
    _write(step, "IDP_SAS_VAR", "_BINNED", binned)
    print(f"six products written after {time.monotonic() - started:.1f} s", flush=True)


def _varlc(step: Step) -> Grid:
    """The curve for variability: on a grid, without transits and outliers, filtered, gaps filled."""
    series = step.read_dp1()
    print(f"DP1_LC_MERGED: {series.time.size} samples over {series.time[-1] - series.time[0]:.1f} d", flush=True)
    if (kit := step.input(KIT)) is not None:
        series = remove_transits(series, kit)
        print(f"transits removed with {KIT}", flush=True)
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


if __name__ == "__main__":
    sys.exit(run(main, module=MODULE, version=VERSION))
