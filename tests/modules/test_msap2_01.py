"""msap2-01: the seismic gravity and the choice."""

import json
from pathlib import Path

import pytest
from astropy import units as u

from msap2_01.__main__ import main
from msap2_01.gravity import Gravity, seismic_gravity, select_gravity
from sas_products import Scalar, StarData, read_scalar, run, write_scalars, write_star_data


def test_the_sun_has_the_solar_gravity() -> None:
    sun = seismic_gravity(3090 * u.uHz, 5 * u.uHz, 5772 * u.K, 10 * u.K)
    assert sun.value == pytest.approx(4.438, abs=0.001)
    assert sun.uncertainty is not None
    assert 0.005 < sun.uncertainty < 0.03


def test_gravity_does_not_depend_on_the_unit() -> None:
    in_microhertz = seismic_gravity(2380 * u.uHz, None, 5674 * u.K, None).value
    assert seismic_gravity(2.38 * u.mHz, None, 5674 * u.K, None).value == pytest.approx(in_microhertz)


def test_kic_6603624_has_the_gravity_of_its_published_mass_and_radius() -> None:
    # BASTA (LEGACY): 1.009 Msun and 1.150 Rsun give log g = 4.438 + log10(1.009 / 1.150^2) = 4.320.
    assert seismic_gravity(2380 * u.uHz, 24 * u.uHz, 5674 * u.K, 77 * u.K).value == pytest.approx(4.320, abs=0.01)


def test_the_seismic_gravity_goes_first() -> None:
    seismic, flicker = Gravity(4.3, 0.01, "seismic"), Gravity(4.1, 0.1, "flicker")
    assert select_gravity(seismic, flicker) is seismic
    assert select_gravity(None, flicker) is flicker
    assert select_gravity(None, None) is None


def a_run(root: Path, monkeypatch: pytest.MonkeyPatch, inputs: dict[str, Scalar], star: StarData) -> int:
    (root / "in").mkdir()
    (root / "out").mkdir()
    for ident, value in inputs.items():
        write_scalars(root / "in" / ident, ident, value, {})
    write_star_data(root / "in" / "PFU_STAR_DATA", star)
    (root / "params.json").write_text("{}")
    values = {"ROOT": str(root), "STAR": "s", "CAMPAIGN": "q1", "STEP": "msap2-01", "SEED": "1"}
    for name, value in values.items():
        monkeypatch.setenv(f"SAS_{name}", value)
    return run(main, module="msap2-01", version="0.1.0")


def test_a_run_writes_the_product_and_the_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = {"DP3_SAS_NU_MAX": Scalar(2380.0, "uHz", 24.0)}
    assert a_run(tmp_path, monkeypatch, inputs, StarData(teff_k=5674.0, e_teff_k=77.0)) == 0
    facts = json.loads((tmp_path / "out" / "facts.json").read_text())
    product = read_scalar(tmp_path / "out" / "IDP_SAS_LOGG_SAPP_TMP.h5", "IDP_SAS_LOGG_SAPP_TMP")
    assert facts == {"logg": product.value, "logg_source": "seismic"}
    assert product.unit == "dex"


def test_a_star_that_does_not_oscillate_gets_the_flicker_gravity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert a_run(tmp_path, monkeypatch, {"IDP_SAS_LOGG_FLIPER": Scalar(4.2, "dex", 0.1)}, StarData()) == 0
    facts = json.loads((tmp_path / "out" / "facts.json").read_text())
    assert facts == {"logg": 4.2, "logg_source": "flicker"}


@pytest.mark.parametrize(
    ("inputs", "star", "says"),
    [
        ({}, StarData(teff_k=5674.0), "DP3_SAS_NU_MAX, IDP_SAS_LOGG_FLIPER"),
        ({"DP3_SAS_NU_MAX": Scalar(2380.0, "uHz")}, StarData(), "PFU_STAR_DATA: teff_k"),
        ({"DP3_SAS_NU_MAX": Scalar(2.38, "mHz")}, StarData(teff_k=5674.0), "DP3_SAS_NU_MAX: value"),
    ],
)
def test_bad_input_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    inputs: dict[str, Scalar],
    star: StarData,
    says: str,
) -> None:
    assert a_run(tmp_path, monkeypatch, inputs, star) == 2
    assert says in capsys.readouterr().err.splitlines()[-1]
    assert list((tmp_path / "out").iterdir()) == []
