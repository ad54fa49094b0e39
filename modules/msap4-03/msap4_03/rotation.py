"""Candidate periods and their features, and ROOSTER's choice among them.

star-privateer (Breton et al. 2024, A&A 689, A229) gives three candidates: the generalised Lomb-Scargle periodogram, the
autocorrelation function and their composite spectrum. ROOSTER (Breton et al. 2021, A&A 647, A125) is two random
forests: one scores how likely the star shows rotation at all, the other picks a candidate.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import star_privateer as sp

from msap4_03.repeats import repeat_uncertainty
from sas_products import FloatArray

METHODS = {"GLS": "ps", "CS": "cs", "ACF": "acf"}
"""Methods and the suffixes of their features, in the order in which star-privateer hands the candidates to ROOSTER."""
SHORTEST_PERIOD_D, LONGEST_PERIOD_D = 0.1, 60.0
"""The range of the training set's candidates."""
N_TREES = 500
TRAINING_SEED = 20210301
"""One forest for all stars and runs, or the score would depend on the run: part of the module's version."""
CATALOGUE = "santos-19-21"
TRAINING_FEATURES = "training_features_gls_only.csv"


@dataclass(frozen=True)
class Candidates:
    """Candidate periods (days, -1 for none), the features by name, and the autocorrelation (`lag` in days)."""

    features: dict[str, float]
    lag: FloatArray
    autocorrelation: FloatArray
    longest_period: float


@dataclass(frozen=True)
class Choice:
    """ROOSTER's answer. `score`: 0 to 1, how likely the star shows rotation. `period` (days) of candidate `method`."""

    score: float
    period: float
    uncertainty: float | None
    method: str


@dataclass(frozen=True)
class Classifier:
    """A trained ROOSTER and what the stars left out of the training say about it.

    `classified`: share of them whose rotation (there or not) is told right. `period_right`: share of the
    rotating ones with the chosen period within 10 % of the catalogue's.
    """

    rooster: sp.ROOSTER
    feature_names: list[str]
    n_training: int
    classified: float
    period_right: float


def train(star: str) -> Classifier:
    """Train on every second star of the features that star-privateer ships, and test on the others.

    The star being analysed is left out of the training if it is there (`star` ends in its KIC number).
    """
    with sp.internal_path(sp.rooster_instances, TRAINING_FEATURES) as path:
        table = pd.read_csv(path, index_col=0)
    table = table.drop(index=[kic for kic in table.index if _is_star(star, int(kic))])
    rooster = sp.ROOSTER(random_state=TRAINING_SEED, n_estimators=N_TREES)
    ids, periods, features, names = sp.create_rooster_feature_inputs(table.iloc[::2])
    rooster.train(ids, periods, features, feature_names=names, catalog=CATALOGUE)
    test_ids, test_periods, test_features, test_names = sp.create_rooster_feature_inputs(table.iloc[1::2])
    rooster.test(test_ids, test_periods, test_features, feature_names=test_names, catalog=CATALOGUE)
    classified, period_right = rooster.getScore()
    return Classifier(rooster, list(names), len(ids), float(classified), float(period_right))


def _is_star(star: str, kic: int) -> bool:
    digits = "".join(character for character in star if character.isdigit())
    return digits != "" and int(digits) == kic


def find_candidates(time: FloatArray, flux: FloatArray) -> Candidates:
    """Analyse an evenly sampled curve: `time` in days, `flux` in ppm about its mean, 0 in gaps."""
    # Two rotations have to fit into the curve for the period to repeat.
    longest = min(LONGEST_PERIOD_D, 0.5 * float(time[-1] - time[0]))
    _, lag, _, autocorrelation, _, values, names, _ = sp.analysis_pipeline(
        time, flux, pmin=SHORTEST_PERIOD_D, pmax=longest, wavelet_analysis=False, plot=False, smooth_acf=True
    )
    finite = [float(value) if np.isfinite(value) else -1.0 for value in values]
    return Candidates(dict(zip(names, finite, strict=True)), lag, autocorrelation, longest)


def choose(classifier: Classifier, candidates: Candidates) -> Choice:
    """Let ROOSTER score the star and pick the period."""
    table = pd.DataFrame([candidates.features])
    _, periods, lower, upper, features, names = sp.create_rooster_feature_inputs(table, return_err=True)
    score, period, e_low, e_high = classifier.rooster.analyseSet(
        features, periods, e_p_err=lower, E_p_err=upper, feature_names=names
    )
    method = list(METHODS)[int(classifier.rooster.getLastAnalysisInfo()[2][0])]
    errors = [float(error) for error in (e_low[0], e_high[0]) if error > 0]
    if method == "ACF":
        uncertainty = repeat_uncertainty(candidates.lag, candidates.autocorrelation, float(period[0]))
    else:
        uncertainty = sum(errors) / len(errors) if errors else None
    return Choice(float(score[0]), float(period[0]), uncertainty, method)


def activity_index(time: FloatArray, flux: FloatArray, period: float) -> tuple[float, float | None]:
    """S_ph and its standard deviation (ppm): the mean scatter of segments of five periods, less the photon noise.

    Mathur et al. 2014, A&A 562, A124. One segment has no standard deviation.
    """
    _, _, series = sp.compute_sph(time, flux, period, return_timeseries=True, correct_noise=True)
    return float(np.nanmean(series)), float(np.nanstd(series)) if series.size > 1 else None
