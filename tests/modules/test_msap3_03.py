"""msap3-03: the prior, the two detection tests, the small separation, and runs that end without oscillations."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from msap3_03.__main__ import main, unlikely
from msap3_03.agreement import contradiction, smallest_uncertainty
from msap3_03.detection import PowerExcess, RegularPattern, find_regular_pattern, power_excess
from msap3_03.global_fit import Estimate, GlobalFit
from msap3_03.prior import expected_delta_nu, nu_max_from_delta_nu, nu_max_prior
from msap3_03.small_separation import small_separation
from msap3_03.spectrum import RebinnedSpectrum, rebin
from sas_products import InputError, Spectrum, StarData, open_product, run, write_spectrum, write_star_data

MODULE = Path(__file__).resolve().parents[2] / "modules" / "msap3-03" / "module.yaml"
NU_MAX, DELTA_NU, SMALL = 2500.0, 115.0, 6.0
STEP = 0.2


def modes() -> list[tuple[float, float]]:
    """Frequency (uHz) and relative height of the modes of degree 0, 1 and 2 of a Sun-like star."""
    found = []
    for n in range(12, 32):
        radial = DELTA_NU * (n + 1.4)
        envelope = np.exp(-0.5 * ((radial - NU_MAX) / 250.0) ** 2)
        found += [
            (radial, envelope),
            (radial + 0.5 * DELTA_NU - SMALL / 3, 1.5 * envelope),
            (radial - SMALL, 0.5 * envelope),
        ]
    return found


def a_spectrum(height: float, seed: int = 1, averaged: int = 2) -> RebinnedSpectrum:
    """White noise of density 1, and the modes as Lorentzians `height` times as high."""
    frequency = np.arange(50.0, 8000.0, STEP)
    limit = np.ones(frequency.size)
    for centre, relative in modes():
        limit += height * relative / (1 + ((frequency - centre) / 0.8) ** 2)
    noise = np.random.default_rng(seed).chisquare(2 * averaged, frequency.size) / (2 * averaged)
    return RebinnedSpectrum(frequency, limit * noise, STEP, averaged)


def test_prior_of_the_sun_is_the_solar_nu_max() -> None:
    sun = StarData(teff_k=5772.0, e_teff_k=10.0, logg=4.438, e_logg=0.01)
    assert nu_max_prior(sun).value == pytest.approx(3090.0, rel=1e-3)
    radius_only = nu_max_prior(StarData(teff_k=5772.0, radius_rsun=1.0, e_radius_rsun=0.02))
    assert radius_only.value == pytest.approx(3090.0, rel=1e-3)
    assert radius_only.source == "radius_rsun, teff_k"


def test_prior_takes_the_tighter_source_and_its_interval_is_log_normal() -> None:
    star = StarData(teff_k=5772.0, e_teff_k=50.0, logg=4.3, e_logg=0.02, radius_rsun=1.0)
    prior = nu_max_prior(star)
    assert prior.source == "logg, teff_k"
    low, high = prior.interval(3.0)
    assert low * high == pytest.approx(prior.value**2)


@pytest.mark.parametrize(("star", "field"), [(StarData(logg=4.4), "teff_k"), (StarData(teff_k=5772.0), "logg")])
def test_prior_names_what_is_missing(star: StarData, field: str) -> None:
    with pytest.raises(InputError, match=field):
        nu_max_prior(star)


def test_expected_separation_is_inverted() -> None:
    assert nu_max_from_delta_nu(expected_delta_nu(2380.0)) == pytest.approx(2380.0)
    assert expected_delta_nu(3090.0) == pytest.approx(135.1, rel=0.02)


def test_rebinning_keeps_the_mean_and_counts_what_it_averages() -> None:
    frequency = 0.05 * np.arange(1, 40001)
    spectrum = Spectrum(frequency, np.random.default_rng(0).exponential(size=frequency.size))
    binned = rebin(spectrum, 50.0, 1500.0, STEP)
    assert binned.averaged == 4
    assert binned.step == pytest.approx(0.2)
    inside = (frequency >= 50.0) & (frequency <= 1500.0)
    assert binned.psd.mean() == pytest.approx(spectrum.psd[inside].mean(), rel=1e-3)
    assert np.diff(binned.frequency) == pytest.approx(0.2)


def test_rebinning_refuses_an_uneven_axis() -> None:
    frequency = np.concatenate([np.arange(1.0, 100.0, 0.1), np.arange(150.0, 200.0, 0.1)])
    with pytest.raises(InputError, match="frequency"):
        rebin(Spectrum(frequency, np.ones(frequency.size)), 1.0, 200.0, STEP)


def test_a_regular_pattern_is_found_at_the_right_separation() -> None:
    pattern = find_regular_pattern(a_spectrum(3.0), 1500.0, 4000.0)
    assert pattern is not None
    assert pattern.false_alarm < 1e-6
    assert pattern.delta_nu == pytest.approx(DELTA_NU, rel=0.01)


def test_noise_gives_the_false_alarms_that_the_probability_says() -> None:
    patterns = (find_regular_pattern(a_spectrum(0.0, seed), 2200.0, 2800.0) for seed in range(40))
    alarms = [pattern.false_alarm for pattern in patterns if pattern is not None]
    assert len(alarms) == 40
    # Three standard deviations of the number of alarms that the probability says.
    assert sum(alarm < 0.1 for alarm in alarms) <= 0.1 * 40 + 3 * np.sqrt(40 * 0.1 * 0.9)
    assert min(alarms) > 1e-4
    assert max(alarms) > 0.3


def test_a_single_strong_line_is_no_pattern() -> None:
    spectrum = a_spectrum(0.0)
    psd = spectrum.psd.copy()
    psd[np.searchsorted(spectrum.frequency, NU_MAX)] = 1e4
    pattern = find_regular_pattern(RebinnedSpectrum(spectrum.frequency, psd, STEP, 2), 2000.0, 3000.0)
    assert pattern is not None
    assert pattern.false_alarm > 1e-3


def test_no_window_fits_next_to_the_end_of_the_spectrum() -> None:
    frequency = np.arange(50.0, 280.0, STEP)
    assert find_regular_pattern(RebinnedSpectrum(frequency, np.ones(frequency.size), STEP, 1), 270.0, 280.0) is None


def test_power_excess_is_the_mean_ratio_and_noise_is_no_excess() -> None:
    noise = a_spectrum(0.0)
    background = np.ones(noise.psd.size)
    assert power_excess(noise, background, NU_MAX).false_alarm > 1e-3
    star = power_excess(a_spectrum(3.0), background, NU_MAX)
    assert star.ratio > 0.1
    assert star.false_alarm < 1e-10


def test_small_separation_is_recovered() -> None:
    spectrum = a_spectrum(8.0, averaged=8)
    found = small_separation(spectrum, np.ones(spectrum.psd.size), NU_MAX, DELTA_NU * 1.001, np.random.default_rng(2))
    assert found is not None
    assert found.value == pytest.approx(SMALL, abs=max(0.15, 4 * found.uncertainty))
    assert 0 < found.uncertainty < 0.3


def test_small_separation_of_noise_is_none() -> None:
    spectrum = a_spectrum(0.0)
    assert small_separation(spectrum, np.ones(spectrum.psd.size), NU_MAX, DELTA_NU, np.random.default_rng(2)) is None


PATTERN = RegularPattern(2520.0, 115.2, 40.0, 1e-15)
FIT = GlobalFit(Estimate(2500.0, 10.0), Estimate(115.0, 0.1), np.ones(1))
EXCESS = PowerExcess(0.3, 1e-9, 0.1)


def a_fit(nu_max: float, e_nu_max: float | None, delta_nu: float, e_delta_nu: float | None) -> GlobalFit:
    return GlobalFit(Estimate(nu_max, e_nu_max), Estimate(delta_nu, e_delta_nu), np.ones(1))


@pytest.mark.parametrize(
    ("fit", "excess", "says"),
    [
        (FIT, EXCESS, None),
        (a_fit(900.0, 10.0, 50.0, 0.1), EXCESS, "outside"),
        (FIT, PowerExcess(0.3, 0.2, 0.1), "false-alarm"),
    ],
)
def test_a_fit_that_prior_or_noise_speaks_against(fit: GlobalFit, excess: PowerExcess, says: str | None) -> None:
    reason = unlikely(fit, excess, (1500.0, 4000.0), 1e-3)
    assert reason is None if says is None else says in str(reason)


@pytest.mark.parametrize(
    ("fit", "pattern", "excess", "says"),
    [
        (FIT, PATTERN, EXCESS, None),
        (a_fit(2500.0, None, 115.0, None), PATTERN, EXCESS, None),  # no samples: no uncertainty is published
        (FIT, PATTERN, PowerExcess(0.01, 1e-9, 0.1), "signal to noise"),
        (FIT, PATTERN, PowerExcess(0.3, 1e-9, 0.8), "80% of it is in a spike"),
        # As on two real stars, where all other checks had passed.
        (a_fit(364.6, 1.32, 25.18, 0.1), RegularPattern(482.0, 31.86, 30.0, 1e-9), EXCESS, "by the regular pattern"),
        (a_fit(1543.08, 0.0, 79.75, 0.2), RegularPattern(2777.0, 118.2, 20.0, 1e-5), EXCESS, "by the regular pattern"),
        (a_fit(1800.0, 10.0, 115.0, 0.1), PATTERN, EXCESS, "the regular pattern is at 2520 uHz"),
        (a_fit(2500.0, 10.0, 57.0, 0.1), RegularPattern(2500.0, 57.1, 40.0, 1e-9), EXCESS, "does not fit nu_max"),
        (a_fit(2500.0, 0.0, 115.0, 0.1), PATTERN, EXCESS, "no time series of this length"),
        (a_fit(2500.0, 10.0, 115.0, 0.0), PATTERN, EXCESS, "every realisation of the noise"),
    ],
)
def test_estimates_that_do_not_agree_are_not_published(
    fit: GlobalFit, pattern: RegularPattern, excess: PowerExcess, says: str | None
) -> None:
    reason = contradiction(fit, pattern, excess, a_spectrum(3.0), 0.03)
    assert reason is None if says is None else says in str(reason)


def test_the_smallest_uncertainty_falls_with_the_length_of_the_series() -> None:
    short, long = (RebinnedSpectrum(np.ones(1), np.ones(1), STEP, averaged) for averaged in (2, 20))
    assert smallest_uncertainty(FIT, short) == pytest.approx(np.sqrt(10.0) * smallest_uncertainty(FIT, long))
    assert 1.0 < smallest_uncertainty(FIT, short) < 10.0


def test_a_spike_makes_most_of_an_excess_and_modes_do_not() -> None:
    background = np.ones(a_spectrum(0.0).psd.size)
    assert max(power_excess(a_spectrum(3.0, seed), background, NU_MAX).spike_share for seed in range(10)) < 0.25
    noise = a_spectrum(0.0)
    psd = noise.psd.copy()
    psd[np.searchsorted(noise.frequency, NU_MAX)] = 1e4
    spiked = power_excess(RebinnedSpectrum(noise.frequency, psd, STEP, 2), background, NU_MAX)
    assert spiked.spike_share > 0.9


def defaults() -> dict[str, object]:
    """The parameters' defaults as the operator would write them."""
    document = yaml.safe_load(MODULE.read_text())
    return {item["name"]: json.loads(item["default"]) for item in document["spec"]["parameters"]}


def a_run(root: Path, monkeypatch: pytest.MonkeyPatch, spectrum: Spectrum, star: StarData) -> int:
    (root / "in").mkdir()
    (root / "out").mkdir()
    write_spectrum(root / "in" / "IDP_SAS_AARPSD", "IDP_SAS_AARPSD", spectrum, {})
    write_star_data(root / "in" / "PFU_STAR_DATA", star)
    (root / "params.json").write_text(json.dumps(defaults()))
    values = {"ROOT": str(root), "STAR": "s", "CAMPAIGN": "q1", "STEP": "msap3-03", "SEED": "1"}
    for name, value in values.items():
        monkeypatch.setenv(f"SAS_{name}", value)
    return run(main, module="msap3-03", version="0.1.0")


@pytest.mark.parametrize(
    ("nyquist", "reason"), [(283.0, "spectrum ends at 277 uHz"), (8000.0, "regular pattern: false-alarm")]
)
def test_a_star_without_oscillations_ends_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nyquist: float, reason: str
) -> None:
    frequency = 0.12 * np.arange(1, int(nyquist / 0.12))
    spectrum = Spectrum(frequency, np.random.default_rng(5).exponential(size=frequency.size))
    star = StarData(teff_k=5800.0, e_teff_k=80.0, logg=4.4, e_logg=0.05)
    assert a_run(tmp_path, monkeypatch, spectrum, star) == 0
    assert json.loads((tmp_path / "out" / "facts.json").read_text()) == {
        "osc_detection_flag": False, "peakbagging_flag": False
    }  # fmt: skip
    ident = "IDP_SAS_SEISMIC_DETECTION_FLAG"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{ident}.h5", "facts.json"]
    with open_product(tmp_path / "out" / f"{ident}.h5", ident) as group:
        assert group.number("flag") == 0
        assert reason in str(group.attribute("reason"))


def test_a_star_without_a_temperature_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frequency = 0.12 * np.arange(1, 2000)
    spectrum = Spectrum(frequency, np.ones(frequency.size))
    assert a_run(tmp_path, monkeypatch, spectrum, StarData(logg=4.4)) == 2
    assert "PFU_STAR_DATA: teff_k" in capsys.readouterr().err.splitlines()[-1]
