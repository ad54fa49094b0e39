"""msap4-03: the even sampling and the uncertainty from repeats. ROOSTER itself is tested end to end, in its image."""

import numpy as np
import pytest

from msap4_03.repeats import repeat_uncertainty
from msap4_03.sampling import TRAINING_CADENCE_D, resample
from sas_products import ScienceError


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
