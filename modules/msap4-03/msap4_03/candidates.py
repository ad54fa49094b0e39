"""The search: every method's candidate, ROOSTER's choice among them, and the activity index for it."""

import logging
from dataclasses import dataclass

from msap4_03 import NAME
from msap4_03.period import Period
from msap4_03.rotation import METHODS, Candidates, Classifier, activity_index, choose, find_candidates, train
from msap4_03.sampling import resample
from sas_products import Column, FloatArray, Scalar, ScienceError, Step, write_product

logger = logging.getLogger(NAME)

CURVE = "IDP_SAS_VARLC_BINNED"
CANDIDATES = "IDP_SAS_PROT_NOSPOT"
SHORTEST_SPAN_D = 10.0
"""Below it the search range (0.1 d to half the span) leaves the training set's."""


@dataclass(frozen=True)
class Search:
    """What was found in a curve (`time` in days, `flux` in ppm, evenly sampled)."""

    time: FloatArray
    flux: FloatArray
    candidates: Candidates
    classifier: Classifier
    period: Period

    def activity(self) -> Scalar:
        """S_ph for the chosen period, in ppm."""
        value, scatter = activity_index(self.time, self.flux, self.period.value)
        return Scalar(value, "ppm", scatter)


def search(step: Step) -> Search:
    """Analyse the light curve. Raises `ScienceError` for one too short to search."""
    series = step.read_series(CURVE)
    span = float(series.time[-1] - series.time[0])
    if span < SHORTEST_SPAN_D:
        raise ScienceError(f"{CURVE}: time: spans {span:.1f} d, at least {SHORTEST_SPAN_D:g} d are needed")
    time, flux = resample(series.time, series.flux)
    classifier = train(step.star)
    logger.info(
        "ROOSTER trained on %d stars; of those left out %.1f %% classified right, %.1f %% of the periods within 10 %%",
        classifier.n_training, 100 * classifier.classified, 100 * classifier.period_right,
    )  # fmt: skip
    candidates = find_candidates(time, flux)
    choice = choose(classifier, candidates)
    logger.info(
        "candidates %s d; ROOSTER: score %.2f, period %.3f d of %s",
        ", ".join(f"{name} {candidates.features[f'prot_{suffix}']:.3f}" for name, suffix in METHODS.items()),
        choice.score, choice.period, choice.method,
    )  # fmt: skip
    period = Period(choice.period, choice.uncertainty, choice.score, choice.method, candidates.longest_period)
    return Search(time, flux, candidates, classifier, period)


def write_candidates(step: Step, found: Search, detected: bool | None = None) -> None:
    """What every method found, whether or not a period is published (`detected`; None: that is for msap4-07 to say)."""
    classifier = found.classifier
    content: dict[str, Column | dict[str, Column]] = {
        **({} if detected is None else {"flag": Column(detected)}),
        **found.period.columns(),
        "features": {name: Column(value) for name, value in sorted(found.candidates.features.items())},
        "classifier": {
            "n_training": Column(classifier.n_training),
            "classified": Column(classifier.classified),
            "period_right": Column(classifier.period_right),
        },
    }
    attributes = step.attributes({"method": found.period.method})
    write_product(step.output(f"{CANDIDATES}.h5"), CANDIDATES, content, attributes)
