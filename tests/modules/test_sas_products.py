"""Product files, the step's context and the wrapper around a module's main function."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from sas_products import (
    Column,
    InputError,
    ParameterError,
    Scalar,
    ScienceError,
    Series,
    Spectrum,
    Step,
    place_input,
    read_dp1,
    read_scalar,
    read_series,
    read_spectrum,
    read_star_data,
    run,
    write_dp1,
    write_product,
    write_scalars,
    write_series,
    write_spectrum,
)


def a_series(n: int = 2000) -> Series:
    rng = np.random.default_rng(1)
    return Series(np.arange(n) * 0.02, rng.normal(size=n), np.ones(n, np.int32))


def test_series_round_trip_and_layout(tmp_path: Path) -> None:
    series = a_series()
    path = tmp_path / "IDP_SAS_VARLC.h5"
    write_series(path, "IDP_SAS_VARLC", series, {"SAS_STAR": "kic-1"})
    back = read_series(path, "IDP_SAS_VARLC")
    assert np.array_equal(back.time, series.time)
    assert np.array_equal(back.flux, series.flux)
    assert np.array_equal(back.quarter, series.quarter)
    with h5py.File(path) as file:
        group = file["PRODUCTS/IDP_SAS_VARLC"]
        assert group.attrs["SAS_STAR"] == "kic-1"
        assert group["flux"].attrs["unit"] == "ppm"


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "a.h5", tmp_path / "b.h5"
    for path in (first, second):
        write_series(path, "IDP_SAS_VARLC", a_series(), {"module": "x"})
    assert first.read_bytes() == second.read_bytes()


def test_dp1_is_external_and_may_have_missing_samples(tmp_path: Path) -> None:
    path = tmp_path / "DP1_LC_MERGED.h5"
    series = a_series()
    flux = 1.0 + series.flux * 1e-6
    flux[5] = np.nan
    write_dp1(path, Series(series.time, flux, series.quarter), {})
    assert np.isnan(read_dp1(path).flux[5])
    with h5py.File(path) as file:
        assert "EXTERNALS/DP1_LC_MERGED/quarter" in file


def test_scalars_by_name_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    write_scalars(path, "DP5_SAS_MASS", Scalar(1.01, "Msun", lower=0.9, upper=1.1), {})
    assert read_scalar(path, "DP5_SAS_MASS") == Scalar(1.01, "Msun", lower=0.9, upper=1.1)
    write_scalars(path, "DP5_SAS_MASS", {"a": Scalar(2.0, "d", uncertainty=0.1)}, {})
    assert read_scalar(path, "DP5_SAS_MASS", "a") == Scalar(2.0, "d", uncertainty=0.1)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1500])


def no_hdf5(path: Path) -> None:
    path.write_text("this is not HDF5")


def drop_flux(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["PRODUCTS/IDP_SAS_VARLC/flux"]


def rename_group(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file.move("PRODUCTS/IDP_SAS_VARLC", "PRODUCTS/OTHER")


def replace(name: str, values: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with h5py.File(path, "a") as file:
            del file[f"PRODUCTS/IDP_SAS_VARLC/{name}"]
            file[f"PRODUCTS/IDP_SAS_VARLC/{name}"] = values

    return change


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (cut, "IDP_SAS_VARLC: not a readable HDF5 file"),
        (no_hdf5, "IDP_SAS_VARLC: not a readable HDF5 file"),
        (Path.unlink, "IDP_SAS_VARLC: no such file"),
        (drop_flux, "PRODUCTS/IDP_SAS_VARLC/flux: no such dataset"),
        (rename_group, "group PRODUCTS/IDP_SAS_VARLC is missing"),
        (replace("flux", np.ones(3)), "datasets differ in length .*flux 3"),
        (replace("flux", np.full(2000, np.nan)), "flux: 2000 of 2000 values not finite"),
        (replace("time", np.ones(2000)), "time: not strictly increasing at index 1"),
        (replace("time", np.ones((2000, 2))), r"time: expected one dimension, found shape \(2000, 2\)"),
        (replace("flux", "text"), "flux: expected numbers"),
    ],
)
def test_a_damaged_product_is_named(tmp_path: Path, damage: Callable[[Path], None], expected: str) -> None:
    path = tmp_path / "IDP_SAS_VARLC"
    write_series(path, "IDP_SAS_VARLC", a_series(), {})
    damage(path)
    with pytest.raises(InputError, match=expected):
        read_series(path, "IDP_SAS_VARLC")


def test_damaged_data_inside_a_valid_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "IDP_SAS_VARLC"
    write_series(path, "IDP_SAS_VARLC", a_series(200_000), {})
    with h5py.File(path) as file:
        chunk = file["PRODUCTS/IDP_SAS_VARLC/flux"].id.get_chunk_info(0)
    with path.open("r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(b"\xff" * min(64, chunk.size))
    with pytest.raises(InputError, match="PRODUCTS/IDP_SAS_VARLC/flux: cannot be read"):
        read_series(path, "IDP_SAS_VARLC")


def test_negative_power_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.h5"
    write_spectrum(path, "IDP_SAS_VARPSD", Spectrum(np.arange(3.0), np.array([1.0, -1.0, 1.0])), {})
    with pytest.raises(InputError, match="IDP_SAS_VARPSD/psd: negative"):
        read_spectrum(path, "IDP_SAS_VARPSD")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "not a readable JSON file"),
        ("[]", "expected a JSON object"),
        ('{"teff": 5000}', "unknown field 'teff'"),
        ('{"teff_k": "5000"}', "teff_k: expected a finite number or null"),
        ('{"teff_k": -1}', "teff_k: expected a positive number"),
        ('{"e_logg": -0.1}', "e_logg: negative uncertainty"),
        ('{"feh": NaN}', "feh: expected a finite number"),
    ],
)
def test_bad_star_data_is_named(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "PFU_STAR_DATA"
    path.write_text(text)
    with pytest.raises(InputError, match=f"PFU_STAR_DATA: {expected}"):
        read_star_data(path)


def test_star_data_may_lack_anything(tmp_path: Path) -> None:
    path = tmp_path / "PFU_STAR_DATA"
    path.write_text('{"teff_k": 5000, "feh": null}')
    star = read_star_data(path)
    assert (star.teff_k, star.feh, star.logg, star.source) == (5000.0, None, None, "")


@pytest.fixture
def sas_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "params.json").write_text('{"width": 2, "count": 3, "name": "x", "on": true}')
    environment = {
        "SAS_ROOT": str(tmp_path),
        "SAS_STAR": "s",
        "SAS_CAMPAIGN": "q1",
        "SAS_STEP": "t",
        "SAS_SEED": "7",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_a_module_that_works(sas_root: Path) -> None:
    def main(step: Step) -> None:
        assert (step.number("width"), step.integer("count"), step.string("name")) == (2.0, 3, "x")
        assert step.boolean("on") is True
        assert step.seed == 7
        assert step.input("ABSENT") is None
        step.write_scalars("DP3_SAS_NU_MAX", Scalar(3090.0, "uHz"))
        step.write_facts({"found": True, "unknown": None})

    assert run(main, module="m", version="1") == 0
    assert json.loads((sas_root / "out/facts.json").read_text()) == {"found": True}
    with h5py.File(sas_root / "out/DP3_SAS_NU_MAX.h5") as file:
        attributes = dict(file["PRODUCTS/DP3_SAS_NU_MAX"].attrs)
    assert attributes == {"SAS_STAR": "s", "SAS_CAMPAIGN": "q1", "SAS_STEP": "t", "module": "m", "version": "1"}


@pytest.mark.parametrize(
    ("error", "code"),
    [(InputError("X: bad\nvalue"), 2), (ScienceError("X: bad value"), 3), (ParameterError("X: bad value"), 4)],
)
@pytest.mark.usefixtures("sas_root")
def test_an_expected_failure_is_one_line(capsys: pytest.CaptureFixture[str], error: Exception, code: int) -> None:
    def main(step: Step) -> None:
        raise error

    assert run(main, module="m", version="1") == code
    assert capsys.readouterr().err == "m: error: X: bad value\n"


@pytest.mark.usefixtures("sas_root")
def test_an_unexpected_failure_is_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def main(step: Step) -> None:
        raise RuntimeError("surprise")

    assert run(main, module="m", version="1") == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.usefixtures("sas_root")
def test_a_missing_input_and_a_wrong_parameter_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lambda step: step.read_dp1() and None, module="m", version="1") == 2
    assert "DP1_LC_MERGED: input file is missing" in capsys.readouterr().err
    assert run(lambda step: step.integer("width") and step.integer("name") and None, module="m", version="1") == 4
    assert "params.json: name: expected an integer, found 'x'" in capsys.readouterr().err


@pytest.mark.usefixtures("sas_root")
def test_the_environment_is_checked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SAS_SEED", "0x1")
    assert run(lambda step: None, module="m", version="1") == 4
    assert "SAS_SEED: expected a decimal integer" in capsys.readouterr().err


@pytest.mark.parametrize("value", [float("nan"), "x" * 129, [1]])
def test_facts_outside_the_contract_are_refused(sas_root: Path, value: object) -> None:
    step = Step.from_environment("m", "1")
    with pytest.raises(ValueError, match="fact f"):
        step.write_facts({"f": value})  # type: ignore[dict-item]
    assert not (sas_root / "out/facts.json").exists()


def test_place_input_leaves_equal_content_alone(tmp_path: Path) -> None:
    path = tmp_path / "star" / "X.h5"
    content = {"a": Column(np.arange(5.0), "d")}
    assert place_input(path, lambda draft: write_product(draft, "X", content, {}))
    before = path.stat()
    assert not place_input(path, lambda draft: write_product(draft, "X", content, {}))
    assert path.stat().st_ino == before.st_ino
    assert place_input(path, lambda draft: write_product(draft, "X", content, {"v": 2}))
    assert os.listdir(path.parent) == ["X.h5"]


def test_place_input_keeps_the_old_file_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "X.json"
    path.write_text("old")

    def fail(draft: Path) -> None:
        draft.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        place_input(path, fail)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["X.json"]
