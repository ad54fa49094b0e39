"""msap1: grid, filters, gaps, spectrum, and a whole run."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from msap1.__main__ import STEPS
from msap1.filters import clip_outliers, fill_gaps, high_pass
from msap1.grid import Grid, bin_cells, regrid, to_grid
from msap1.spectrum import nyquist_uhz, power_spectrum
from msap1.transits import remove_transits
from sas_products import (
    Column,
    InputError,
    Scalar,
    ScienceError,
    Series,
    read_series,
    read_spectrum,
    run,
    write_dp1,
    write_product,
    write_scalars,
    write_series,
)

MODULE = Path(__file__).resolve().parents[2] / "modules" / "msap1" / "module.yaml"
SPECS = {one["metadata"]["name"]: one["spec"] for one in yaml.safe_load_all(MODULE.read_text())}
CADENCE_S = 60.0
CADENCE_D = CADENCE_S / 86400.0


def a_grid(flux: np.ndarray, there: np.ndarray | None = None) -> Grid:
    there = np.ones(flux.size, bool) if there is None else there
    return Grid(0.0, CADENCE_D, np.where(there, flux, 0.0), there, np.ones(flux.size, np.int32))


def a_dp1(n: int = 28800, gap: slice | None = None) -> Series:
    """20 days: an oscillation at 2000 uHz of 50 ppm, rotation of 5 d and 500 ppm, noise of 100 ppm."""
    time = np.arange(n) * CADENCE_D + 120.5
    seconds = time * 86400.0
    flux = 50 * np.sin(2 * np.pi * 2000e-6 * seconds) + 500 * np.sin(2 * np.pi * time / 5.0)
    flux += np.random.default_rng(3).normal(scale=100.0, size=n)
    flux = 1.0 + flux * 1e-6
    if gap is not None:
        flux[gap] = np.nan
    return Series(time, flux, np.where(np.arange(n) < n // 2, 1, 2).astype(np.int32))


@pytest.mark.parametrize("n", [10_000, 10_001])
def test_parseval(n: int) -> None:
    grid = a_grid(np.random.default_rng(0).normal(scale=80.0, size=n))
    spectrum = power_spectrum(grid)
    total = spectrum.psd.sum() * (spectrum.frequency[1] - spectrum.frequency[0])
    assert total == pytest.approx(grid.flux.var(), rel=1e-10)


def test_white_noise_has_its_level_whatever_is_missing() -> None:
    rng = np.random.default_rng(0)
    expected = 2 * 100.0**2 * CADENCE_S * 1e-6
    for duty in (1.0, 0.6):
        grid = a_grid(rng.normal(scale=100.0, size=200_000), rng.random(200_000) < duty)
        assert power_spectrum(grid).psd.mean() == pytest.approx(expected, rel=0.02)


def test_a_sinusoid_is_at_its_frequency_with_its_power() -> None:
    n = 20_000
    frequency = 300 / (n * CADENCE_S)
    grid = a_grid(40.0 * np.sin(2 * np.pi * frequency * np.arange(n) * CADENCE_S))
    spectrum = power_spectrum(grid)
    peak = int(spectrum.psd.argmax())
    assert spectrum.frequency[peak] == pytest.approx(frequency * 1e6)
    assert spectrum.psd[peak] * spectrum.frequency[0] == pytest.approx(40.0**2 / 2, rel=1e-9)
    assert spectrum.frequency[-1] == pytest.approx(nyquist_uhz(grid))


@pytest.mark.parametrize(("period_d", "kept"), [(1.0, 1.0), (0.25, 1.0), (40.0, 0.0), (2.0, 1 - np.sinc(0.5) ** 2)])
def test_high_pass_keeps_the_documented_part(period_d: float, kept: float) -> None:
    time = np.arange(0, 80, CADENCE_D)
    grid = a_grid(np.sin(2 * np.pi * time / period_d))
    middle = slice(time.size // 4, 3 * time.size // 4)
    amplitude = np.abs(high_pass(grid, 1.0).flux[middle]).max()
    assert amplitude == pytest.approx(kept, abs=0.02)


def test_high_pass_is_not_led_by_gaps() -> None:
    time = np.arange(0, 40, CADENCE_D)
    flux = 1000.0 + 50.0 * time
    there = np.ones(time.size, bool)
    there[20_000:23_000] = False
    filtered = high_pass(a_grid(flux, there), 0.5)
    middle = slice(5000, 50_000)
    assert np.abs(filtered.flux[middle]).max() < 60
    assert (filtered.flux[~there] == 0).all()


def test_outliers_are_dropped_and_nothing_else() -> None:
    rng = np.random.default_rng(5)
    flux = rng.normal(scale=10.0, size=20_000) + 3000 * np.sin(2 * np.pi * np.arange(20_000) * CADENCE_D / 8)
    flux[[17, 9000, 19_990]] += 500.0
    clipped = clip_outliers(a_grid(flux), 6.0, 0.25)
    assert np.flatnonzero(~clipped.there).tolist() == [17, 9000, 19_990]
    assert clip_outliers(a_grid(flux), 0.0, 0.25).there.all()


def test_short_gaps_are_filled_and_long_ones_stay() -> None:
    flux = np.linspace(0.0, 1000.0, 10_000)
    there = np.ones(10_000, bool)
    there[:5] = there[1000:1010] = there[4000:9000] = there[-5:] = False
    filled = fill_gaps(a_grid(flux, there), 0.1)
    assert filled.there[1000:1010].all()
    assert np.abs(filled.flux[1000:1010] - flux[1000:1010]).max() < 1.0
    assert not filled.there[4000:9000].any()
    assert not filled.there[:5].any()
    assert not filled.there[-5:].any()


def test_interleaved_camera_groups_are_averaged_to_their_cadence() -> None:
    n = 40_000
    time = (np.arange(n) * 6.25 + 10.5) / 86400.0
    series = Series(time, 1.0 + np.random.default_rng(0).normal(scale=1e-4, size=n), np.ones(n, np.int32))
    grid = to_grid(series, 25.0)
    assert grid.cadence_s == pytest.approx(25.0, rel=1e-6)
    assert grid.flux.size == pytest.approx(n / 4, abs=1)
    assert grid.flux[1:-1].std() == pytest.approx(50.0, rel=0.05)
    assert grid.there.all()


def test_quarters_stay_with_their_samples() -> None:
    grid = to_grid(a_dp1(gap=slice(14_000, 15_000)), 25.0)
    assert grid.quarter[13_000] == 1
    assert grid.quarter[14_500] == 1
    assert grid.quarter[16_000] == 2


def test_a_wild_time_stamp_is_refused() -> None:
    series = a_dp1()
    series.time[-1] = 1e9
    with pytest.raises(ScienceError, match="cells"):
        to_grid(series, 25.0)


def test_binning_averages_what_is_there() -> None:
    there = np.array([True, True, False, True, False, False, True])
    binned = bin_cells(a_grid(np.array([1.0, 3.0, 9.0, 5.0, 9.0, 9.0, 7.0]), there), 2 * CADENCE_S)
    assert binned.flux.tolist() == [2.0, 5.0, 0.0, 7.0]
    assert binned.there.tolist() == [True, True, False, True]
    assert binned.time[0] == pytest.approx(0.5 * CADENCE_D)


@pytest.fixture
def sas_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    parameters = SPECS["msap1"]["parameters"]
    (tmp_path / "params.json").write_text(json.dumps({p["name"]: float(p["default"]) for p in parameters}))
    monkeypatch.setenv("SAS_ROOT", str(tmp_path))
    for name in ("SAS_STAR", "SAS_CAMPAIGN", "SAS_STEP"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("SAS_SEED", "1")
    return tmp_path


def start(step: str = "all") -> int:
    return run(STEPS[step], module="msap1", version="0.1.0")


def next_step(root: Path) -> None:
    """What one step has published becomes input of the next."""
    for path in (root / "out").glob("*.h5"):
        path.rename(root / "in" / path.stem)


def read_all(folder: Path, suffix: str) -> dict[str, np.ndarray]:
    """Fluxes and densities by product."""
    found: dict[str, np.ndarray] = {}
    for ident in ("VARLC", "AARLC", "VARLC_BINNED"):
        name = f"IDP_SAS_{ident}"
        found[name] = read_series(folder / f"{name}{suffix}", name).flux
        name = name.replace("LC", "PSD")
        found[name] = read_spectrum(folder / f"{name}{suffix}", name).psd
    return found


def test_a_run_makes_what_the_catalogue_says(sas_root: Path) -> None:
    write_dp1(sas_root / "in/DP1_LC_MERGED", a_dp1(gap=slice(7000, 7300)), {})
    assert start() == 0
    spec = SPECS["msap1"]
    made = {path.name for path in (sas_root / "out").iterdir()}
    assert made == {f"{output['name']}.h5" for output in spec["outputs"]} | {"facts.json"}
    facts = json.loads((sas_root / "out/facts.json").read_text())
    assert set(facts) == {fact["name"] for fact in spec["facts"]}
    assert facts["cadence_s"] == pytest.approx(CADENCE_S)
    assert facts["duration_d"] == pytest.approx(20.0, abs=0.01)
    assert facts["duty_cycle"] == pytest.approx(1 - 300 / 28800, abs=1e-4)
    assert facts["nyquist_uhz"] == pytest.approx(8333.3, rel=1e-3)
    oscillation = read_spectrum(sas_root / "out/IDP_SAS_AARPSD.h5", "IDP_SAS_AARPSD")
    high = oscillation.frequency > 100
    assert oscillation.frequency[high][oscillation.psd[high].argmax()] == pytest.approx(2000.0, abs=1.0)
    rotation = read_spectrum(sas_root / "out/IDP_SAS_VARPSD_BINNED.h5", "IDP_SAS_VARPSD_BINNED")
    assert 1e6 / rotation.frequency[rotation.psd.argmax()] / 86400 == pytest.approx(5.0, abs=0.3)
    assert read_series(sas_root / "out/IDP_SAS_VARLC_BINNED.h5", "IDP_SAS_VARLC_BINNED").cadence_s == pytest.approx(
        1800.0
    )


def test_the_steps_of_the_baseline_make_what_the_whole_makes(sas_root: Path) -> None:
    curve = a_dp1(gap=slice(7000, 9000))  # longer than what is filled
    write_dp1(sas_root / "in/DP1_LC_MERGED", curve, {})
    assert start() == 0
    whole = read_all(sas_root / "out", ".h5")
    for path in (sas_root / "out").iterdir():
        path.unlink()
    made: set[str] = set()
    for step in ("msap1-01", "msap1-07", "msap1-08"):
        assert SPECS[step]["args"] == [f"--step={step}"]
        assert start(step) == 0
        new = {path.name for path in (sas_root / "out").iterdir()} - {"facts.json"}
        assert new == {f"{output['name']}.h5" for output in SPECS[step]["outputs"]}
        made |= new
        next_step(sas_root)
    assert made == {f"{output['name']}.h5" for output in SPECS["msap1"]["outputs"]}
    parts = read_all(sas_root / "in", "")
    for name, values in whole.items():
        assert parts[name].shape == values.shape, name
        assert parts[name] == pytest.approx(values, rel=1e-6, abs=1e-6 * np.abs(values).max()), name


def test_a_written_curve_gives_its_grid_back() -> None:
    there = np.random.default_rng(1).random(50_000) < 0.8
    there[[0, -1]] = True
    grid = a_grid(np.random.default_rng(2).normal(size=50_000), there)
    again = regrid(grid.series())
    assert again.cadence_d == pytest.approx(grid.cadence_d, rel=1e-12)
    assert (again.there == grid.there).all()
    assert (again.flux == grid.flux).all()


@pytest.mark.parametrize(("nu_max", "passes"), [(None, False), (2000.0, False), (5.0, True)])
def test_a_slow_oscillation_of_the_campaign_before_widens_the_filter(
    sas_root: Path, nu_max: float | None, passes: bool
) -> None:
    time = np.arange(0.0, 80.0, 1800 / 86400)
    slow = np.sin(2 * np.pi * time / 6.0)  # 1.9 uHz
    series = Series(time, 100.0 * slow, np.ones(time.size, np.int32))
    write_series(sas_root / "in/IDP_SAS_VARLC", "IDP_SAS_VARLC", series, {})
    if nu_max is not None:
        write_scalars(sas_root / "in/DP3_SAS_NU_MAX", "DP3_SAS_NU_MAX", Scalar(nu_max, "uHz"), {})
    assert start("msap1-07") == 0
    flux = read_series(sas_root / "out/IDP_SAS_AARLC.h5", "IDP_SAS_AARLC").flux
    kept = np.abs(flux[time.size // 3 : 2 * time.size // 3]).max() / 100.0
    assert kept > 0.9 if passes else kept < 0.4


@pytest.mark.parametrize(("transits", "code"), [(0.0, 0), (1.0, 2)])
def test_a_star_with_transits_needs_its_kit(
    sas_root: Path, capsys: pytest.CaptureFixture[str], transits: float, code: int
) -> None:
    write_dp1(sas_root / "in/DP1_LC_MERGED", a_dp1(), {})
    flag = "IDP_EAS_QC_TARGET_TCE_DETECTION"
    write_product(sas_root / "in" / flag, flag, {"flag": Column(transits)}, {})
    assert start("msap1-01") == code
    if code:
        told = capsys.readouterr().err.splitlines()[-1]
        assert told.startswith("msap1: error: IDP_EAS_TRANSIT_REMOVAL_KIT: absent")


def test_transits_are_removed_with_the_kit(sas_root: Path) -> None:
    series = a_dp1()
    transit = np.where((series.time % 3.0) < 0.1, 0.99, 1.0)
    write_dp1(sas_root / "in/DP1_LC_MERGED", Series(series.time, series.flux * transit, series.quarter), {})
    kit = sas_root / "in/IDP_EAS_TRANSIT_REMOVAL_KIT"
    write_product(kit, kit.name, {"Relative_flux_curve": {"flux": Column(transit)}}, {})
    restored = remove_transits(Series(series.time, series.flux * transit, series.quarter), kit)
    assert np.allclose(restored.flux, series.flux, rtol=0, atol=1e-12)
    assert start() == 0
    curve = read_series(sas_root / "out/IDP_SAS_VARLC.h5", "IDP_SAS_VARLC")
    assert np.abs(curve.flux).max() < 2000
    write_product(kit, kit.name, {"Relative_flux_curve": {"flux": Column(transit[1:])}}, {})
    with pytest.raises(InputError, match=r"Relative_flux_curve/flux: shape \(28799,\), DP1_LC_MERGED has \(28800,\)"):
        remove_transits(series, kit)


@pytest.mark.parametrize(
    ("content", "code", "expected"),
    [
        (b"not HDF5", 2, "DP1_LC_MERGED: not a readable HDF5 file"),
        (None, 2, "DP1_LC_MERGED: input file is missing"),
    ],
)
def test_an_unusable_light_curve_is_named(
    sas_root: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, code: int, expected: str
) -> None:
    if content is not None:
        (sas_root / "in/DP1_LC_MERGED").write_bytes(content)
    assert start() == code
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"msap1: error: {expected}")
    assert not list((sas_root / "out").iterdir())


def test_a_constant_or_short_curve_is_a_science_failure(sas_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    series = a_dp1()
    write_dp1(sas_root / "in/DP1_LC_MERGED", Series(series.time, np.ones(series.time.size), series.quarter), {})
    assert start() == 3
    assert "DP1_LC_MERGED: the flux is constant" in capsys.readouterr().err
    write_dp1(sas_root / "in/DP1_LC_MERGED", a_dp1(50), {})
    assert start() == 3
    assert "DP1_LC_MERGED: 50 valid samples" in capsys.readouterr().err
