"""From the packages' FITS files to Level-1 light curves and classical parameters."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from dp1_kepler.__main__ import main
from dp1_kepler.light_curve import read_light_curve
from dp1_kepler.stars import CATALOGUE, STARS
from sas_products import InputError, read_dp1, read_star_data


def write_curve(path: Path, time: np.ndarray, flux: np.ndarray, state: np.ndarray) -> None:
    primary = fits.PrimaryHDU(np.column_stack([time, flux]))
    for name, value in {"LOGG": 4.3, "FEH": 0.28, "RADIUS": 1.16, "KEPMAG": 9.1}.items():
        primary.header[name] = value
    fits.HDUList([primary, fits.ImageHDU(state.astype(np.int16))]).writeto(path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with the four curves and the catalogue, which has three of the stars."""
    folder = tmp_path / "data"
    folder.mkdir()
    for star in STARS.values():
        time = 54953.5 + np.arange(400) * 0.5
        state = np.where(np.arange(400) == 7, 0, np.where(np.arange(400) == 9, 2, 1))
        write_curve(folder / star.file_name, time, np.arange(400.0), state)
    kics = [star.kic for star in STARS.values() if star.kic != 6603624]
    columns = {"Teff": 6000.0, "E_Teff": 110.0, "e_teff_lc": 90.0, "logg": 4.4, "E_logg": 0.03, "e_logg_lc": 0.05}
    table = [fits.Column("KIC", "J", array=kics)]
    table += [fits.Column(name, "D", array=[value] * len(kics)) for name, value in columns.items()]
    fits.BinTableHDU.from_columns(table).writeto(folder / CATALOGUE)
    return folder


def test_missing_samples_are_left_out_and_inpainted_ones_kept(data: Path) -> None:
    series = read_light_curve(data / "008006161.fits")
    assert series.time.size == 399
    assert series.time[0] == pytest.approx(120.5)
    assert series.flux[8] == pytest.approx(1.0 + 9e-6)
    assert series.quarter[[0, -1]].tolist() == [1, 3]


def test_the_inputs_of_all_stars_are_written_once(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--out", str(tmp_path / "out"), "--data", str(data)]
    assert main(arguments) == 0
    assert capsys.readouterr().out.count("written") == 8
    for name in STARS:
        assert read_dp1(tmp_path / "out" / name / "DP1_LC_MERGED.h5").time.size == 399
    assert main(arguments) == 0
    assert capsys.readouterr().out.count("unchanged") == 8


def test_classical_parameters_come_from_the_best_source(data: Path, tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path), "--data", str(data), "kic-6603624", "kic-8006161"]) == 0
    first = read_star_data(tmp_path / "kic-6603624" / "PFU_STAR_DATA.json")
    assert (first.teff_k, first.e_teff_k, first.e_feh, first.logg, first.e_logg) == (5674.0, 77.0, 0.10, 4.3, 0.10)
    second = read_star_data(tmp_path / "kic-8006161" / "PFU_STAR_DATA.json")
    assert (second.teff_k, second.e_teff_k, second.logg, second.e_logg) == (6000.0, 100.0, 4.4, 0.04)
    assert (second.feh, second.e_feh, second.radius_rsun, second.magnitude) == (0.28, 0.15, 1.16, 9.1)
    assert not (tmp_path / "kic-3733735").exists()


def test_bad_files_and_unknown_stars_are_named(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["../x"])
    assert stopped.value.code == 2
    assert "unknown star '../x'" in capsys.readouterr().err
    write_curve(data / "bad.fits", np.arange(5.0), np.arange(5.0), np.ones(4))
    with pytest.raises(InputError, match=r"bad.fits: unexpected shapes \(5, 2\) and \(4,\)"):
        read_light_curve(data / "bad.fits")
    (data / "008006161.fits").write_text("no FITS")
    assert main(["--out", str(tmp_path), "--data", str(data), "kic-8006161"]) == 2
    assert "dp1-kepler: error:" in capsys.readouterr().err
