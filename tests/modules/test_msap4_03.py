"""msap4-03: the even sampling and the uncertainty from repeats. ROOSTER itself is tested end to end, in its image."""

import json
from pathlib import Path

import numpy as np
import pytest

from msap4_03.__main__ import STEPS
from msap4_03.period import Period
from msap4_03.repeats import repeat_uncertainty
from msap4_03.sampling import TRAINING_CADENCE_D, resample
from sas_products import Scalar, ScienceError, open_product, read_scalar, run, write_product, write_scalars


def test_a_fine_curve_is_averaged_to_the_training_cadence() -> None:
    time = np.arange(0.0, 20.0, 25.0 / 86400.0)
    flux = np.sin(2 * np.pi * time / 5.0)
    even, averaged = resample(time, flux)
    assert np.diff(even) == pytest.approx(TRAINING_CADENCE_D)
    assert averaged == pytest.approx(np.sin(2 * np.pi * even / 5.0), abs=0.03)


def test_a_curve_of_the_training_cadence_keeps_its_samples_in_spite_of_jitter() -> None:
    rng = np.random.default_rng(0)
    time = TRAINING_CADENCE_D * np.arange(3000) + rng.uniform(-2, 2, 3000) / 86400.0
    flux = rng.normal(size=3000)
    even, kept = resample(time, flux)
    assert kept.size == pytest.approx(3000, abs=1)
    assert (kept == 0).sum() <= 3
    assert np.std(kept) == pytest.approx(np.std(flux), rel=0.01)
    assert even[0] == time[0]


def test_gaps_are_zero_and_do_not_move_the_mean() -> None:
    time = np.arange(0.0, 30.0, 1 / 48)
    flux = np.full(time.size, 7.0) + np.sin(time)
    kept = (time < 10) | (time > 14)
    even, filled = resample(time[kept], flux[kept])
    assert np.all(filled[(even > 10.1) & (even < 13.9)] == 0)
    assert filled[filled != 0].mean() == pytest.approx(0.0, abs=1e-9)


def test_a_curve_of_mostly_gaps_is_refused() -> None:
    time = np.concatenate([np.arange(0.0, 10.0, 1 / 48), np.arange(90.0, 100.0, 1 / 48)])
    with pytest.raises(ScienceError, match="IDP_SAS_VARLC_BINNED"):
        resample(time, np.ones(time.size))


def test_repeats_that_agree_give_a_small_uncertainty_and_drifting_ones_a_larger() -> None:
    lag = np.arange(0.0, 70.0, 0.02)
    steady = np.exp(-lag / 60) * np.cos(2 * np.pi * lag / 10.0)
    drifting = np.exp(-lag / 60) * np.cos(2 * np.pi * (lag / 10.0 + 0.0008 * lag**2))
    small, large = (repeat_uncertainty(lag, curve, 10.0) for curve in (steady, drifting))
    assert small is not None
    assert large is not None
    assert small < 0.1 < large


def test_too_few_repeats_give_no_uncertainty() -> None:
    lag = np.arange(0.0, 25.0, 0.02)
    assert repeat_uncertainty(lag, np.cos(2 * np.pi * lag / 10.0), 10.0) is None


PERIOD = Period(11.5, 0.4, 0.6, "ACF", 45.0)


@pytest.fixture
def sas_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A step of msap4-07, with what msap4-03 writes as its inputs."""
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "params.json").write_text('{"score_min": 0.5}')
    monkeypatch.setenv("SAS_ROOT", str(tmp_path))
    for name in ("SAS_STAR", "SAS_CAMPAIGN", "SAS_STEP"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("SAS_SEED", "1")
    return tmp_path


def place(root: Path, period: Period, activity: Scalar | None = None) -> None:
    ident, index = "IDP_SAS_PROT_NOSPOT", "IDP_SAS_S_PHOTO_INDEX"
    write_product(root / "in" / ident, ident, period.columns(), {"method": period.method})
    if activity is not None:
        write_scalars(root / "in" / index, index, activity, {})


def msap4_07() -> int:
    return run(STEPS["msap4-07"], module="msap4-03", version="0.1.0")


def test_a_sure_period_is_published_with_its_activity(sas_root: Path) -> None:
    place(sas_root, PERIOD, Scalar(240.0, "ppm", 12.0))
    assert msap4_07() == 0
    out = sas_root / "out"
    assert read_scalar(out / "DP4_SAS_PROT.h5", "DP4_SAS_PROT") == Scalar(11.5, "d", 0.4)
    assert read_scalar(out / "DP4_SAS_SPH.h5", "DP4_SAS_SPH") == Scalar(240.0, "ppm", 12.0)
    with open_product(out / "DP4_SAS_PROT.h5", "DP4_SAS_PROT") as group:
        assert (group.attribute("score"), group.attribute("method")) == (
            0.6, "star-privateer 1.3.1, ROOSTER's choice: ACF"
        )  # fmt: skip
    assert json.loads((out / "facts.json").read_text()) == {
        "prot_detected": True, "sph_detected": True, "prot": 11.5, "prot_score": 0.6, "sph": 240.0
    }  # fmt: skip


@pytest.mark.parametrize(
    "period",
    [Period(11.5, 0.4, 0.49, "ACF", 45.0), Period(46.0, None, 0.9, "GLS", 45.0), Period(-1.0, None, 0.9, "CS", 45.0)],
)
def test_an_unsure_period_and_one_out_of_range_are_withheld(sas_root: Path, period: Period) -> None:
    place(sas_root, period)
    assert msap4_07() == 0
    assert json.loads((sas_root / "out/facts.json").read_text()) == {
        "prot_detected": False, "sph_detected": False, "prot_score": period.score
    }  # fmt: skip
    assert [path.name for path in (sas_root / "out").iterdir()] == ["facts.json"]


def test_an_activity_in_another_unit_is_refused(sas_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place(sas_root, PERIOD, Scalar(240.0, "ppt"))
    assert msap4_07() == 2
    assert "IDP_SAS_S_PHOTO_INDEX: value: expected the unit ppm" in capsys.readouterr().err
