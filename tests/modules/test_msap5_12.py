"""msap5-12: the scaling relations on the Sun and on a star with published models."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from uncertainties import ufloat

from msap5_12.__main__ import main
from msap5_12.relations import MASS, RADIUS, Observables, RelationName, age_gyr
from sas_products import Scalar, StarData, read_scalar, run, write_scalars, write_star_data

SUN = Observables(
    nu_max=ufloat(3090.0, 30.0),
    delta_nu=ufloat(135.1, 0.1),
    teff=ufloat(5772.0, 50.0),
    small_separation=ufloat(8.957, 0.05),
    feh=ufloat(0.0, 0.05),
)
# KIC 6603624. Frequencies and spectroscopy: Lund et al. (2017), Buchhave & Latham (2015).
STAR = Observables(
    nu_max=ufloat(2384.0, 5.6),
    delta_nu=ufloat(110.128, 0.012),
    teff=ufloat(5674.0, 77.0),
    small_separation=ufloat(4.944, 0.04),
    feh=ufloat(0.28, 0.1),
)


@pytest.mark.parametrize("relation", ["classical", "bellinger2019"])
def test_the_sun_is_the_sun(relation: RelationName) -> None:
    assert MASS[relation].evaluate(SUN).nominal_value == pytest.approx(1.0, rel=1e-9)
    assert RADIUS[relation].evaluate(SUN).nominal_value == pytest.approx(1.0, rel=1e-9)
    assert age_gyr(SUN).nominal_value == pytest.approx(4.569, rel=1e-9)


def test_kic_6603624_agrees_with_its_published_models() -> None:
    # BASTA (LEGACY): 1.009 Msun, 1.150 Rsun, 7.82 Gyr. Bellinger's mass and radius come out 9 and 3.5 % high.
    assert MASS["classical"].evaluate(STAR).nominal_value == pytest.approx(1.009, rel=0.03)
    assert RADIUS["classical"].evaluate(STAR).nominal_value == pytest.approx(1.150, rel=0.01)
    assert MASS["bellinger2019"].evaluate(STAR).nominal_value == pytest.approx(1.009, rel=0.10)
    assert RADIUS["bellinger2019"].evaluate(STAR).nominal_value == pytest.approx(1.150, rel=0.04)
    assert age_gyr(STAR).nominal_value == pytest.approx(7.82, rel=0.10)


def test_uncertainties_are_propagated() -> None:
    exact_sun = replace(SUN, nu_max=ufloat(3090.0, 0.0), delta_nu=ufloat(135.1, 0.0), teff=ufloat(5772.0, 57.72))
    # 3 x 30 / 3090, 4 x 0.1 / 135.1 and 1.5 x (1 % and 0.8 / 5772), in quadrature.
    expected = ((3 * 30 / 3090) ** 2 + (4 * 0.1 / 135.1) ** 2 + 0.015**2 + (1.5 * 0.8 / 5772) ** 2) ** 0.5
    assert MASS["classical"].evaluate(exact_sun).std_dev == pytest.approx(expected, rel=1e-6)


def test_an_older_star_has_the_smaller_separation() -> None:
    older = replace(SUN, small_separation=ufloat(5.0, 0.05))
    assert age_gyr(older).nominal_value > 2 * 4.569


def test_what_the_age_needs_is_named() -> None:
    with pytest.raises(ValueError, match="small_separation, feh"):
        age_gyr(replace(SUN, small_separation=None, feh=None))


def a_run(
    root: Path, monkeypatch: pytest.MonkeyPatch, inputs: dict[str, Scalar], star: StarData, relation: str = "classical"
) -> int:
    (root / "in").mkdir()
    (root / "out").mkdir()
    for ident, value in inputs.items():
        write_scalars(root / "in" / ident, ident, value, {})
    write_star_data(root / "in" / "PFU_STAR_DATA", star)
    (root / "params.json").write_text(json.dumps({"relation": relation}))
    values = {"ROOT": str(root), "STAR": "s", "CAMPAIGN": "q1", "STEP": "msap5-12", "SEED": "1"}
    for name, value in values.items():
        monkeypatch.setenv(f"SAS_{name}", value)
    return run(main, module="msap5-12", version="0.1.0")


SEISMIC = {"DP3_SAS_NU_MAX": Scalar(2384.0, "uHz", 6.0), "DP3_SAS_DELTA_NU_AV": Scalar(110.128, "uHz", 0.012)}
SMALL = {"IDP_SAS_DELTA_NU_02": Scalar(4.944, "uHz", 0.04)}
CLASSICAL = StarData(teff_k=5674.0, e_teff_k=77.0, feh=0.28, e_feh=0.1)


def test_a_run_writes_the_age_only_where_it_can_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    assert a_run(tmp_path / "with", monkeypatch, SEISMIC | SMALL, CLASSICAL) == 0
    assert a_run(tmp_path / "without", monkeypatch, SEISMIC, CLASSICAL) == 0
    age = read_scalar(tmp_path / "with" / "out" / "IDP_SAS_AGE_SCALING_ONLY.h5", "IDP_SAS_AGE_SCALING_ONLY")
    assert age.unit == "Gyr"
    assert age.uncertainty is not None
    facts = json.loads((tmp_path / "with" / "out" / "facts.json").read_text())
    assert facts["age"] == age.value
    assert not (tmp_path / "without" / "out" / "IDP_SAS_AGE_SCALING_ONLY.h5").exists()
    assert set(json.loads((tmp_path / "without" / "out" / "facts.json").read_text())) == {"mass", "radius"}


@pytest.mark.parametrize(
    ("inputs", "star", "relation", "code", "says"),
    [
        (SEISMIC, StarData(feh=0.0), "classical", 2, "PFU_STAR_DATA: teff_k"),
        (SEISMIC, StarData(teff_k=5674.0), "bellinger2019", 3, "PFU_STAR_DATA: feh"),
        (SEISMIC, CLASSICAL, "other", 4, "params.json: relation"),
        ({"DP3_SAS_NU_MAX": Scalar(2384.0, "uHz")}, CLASSICAL, "classical", 2, "DP3_SAS_DELTA_NU_AV"),
        (SEISMIC | {"DP3_SAS_NU_MAX": Scalar(-1.0, "uHz")}, CLASSICAL, "classical", 2, "DP3_SAS_NU_MAX: value"),
    ],
)
def test_bad_input_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    inputs: dict[str, Scalar],
    star: StarData,
    relation: str,
    code: int,
    says: str,
) -> None:
    assert a_run(tmp_path, monkeypatch, inputs, star, relation) == code
    assert says in capsys.readouterr().err.splitlines()[-1]
