"""Read the light curve, find the rotation period, write the products."""

import logging
import sys

from msap4_03 import NAME, VERSION
from msap4_03.rotation import METHODS, Candidates, Choice, Classifier, activity_index, choose, find_candidates, train
from msap4_03.sampling import resample
from sas_products import Column, Scalar, ScienceError, Step, run, write_product

logger = logging.getLogger(NAME)

CURVE = "IDP_SAS_VARLC_BINNED"
SHORTEST_SPAN_D = 10.0
"""Below it the search range (0.1 d to half the span) leaves the training set's."""


def main(step: Step) -> None:
    """Run the module once. Raises `ScienceError` for a curve too short to search."""
    score_min = step.number("score_min")
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
    detected = choice.score >= score_min and 0 < choice.period <= candidates.longest_period
    logger.info(
        "candidates %s d; ROOSTER: score %.2f (%.2f needed), period %.3f d of %s: %s",
        ", ".join(f"{name} {candidates.features[f'prot_{suffix}']:.3f}" for name, suffix in METHODS.items()),
        choice.score, score_min, choice.period, choice.method, "published" if detected else "not published",
    )  # fmt: skip
    publish_candidates(step, candidates, choice, classifier, detected)
    if not detected:
        step.write_facts({"prot_detected": False, "prot_score": choice.score})
        return
    method = f"star-privateer 1.3.1, ROOSTER's choice: {choice.method}"
    period = Scalar(choice.period, "d", choice.uncertainty)
    step.write_scalars("DP4_SAS_PROT", period, method=method, score=choice.score)
    sph, scatter = activity_index(time, flux, choice.period)
    step.write_scalars("DP4_SAS_SPH", Scalar(sph, "ppm", scatter), method=method, score=choice.score)
    step.write_facts({"prot_detected": True, "prot": choice.period, "prot_score": choice.score, "sph": sph})


def publish_candidates(
    step: Step, candidates: Candidates, choice: Choice, classifier: Classifier, detected: bool
) -> None:
    """What every method found, whether or not a period is published."""
    ident = "IDP_SAS_PROT_NOSPOT"
    content: dict[str, Column | dict[str, Column]] = {
        "flag": Column(detected),
        "score": Column(choice.score),
        "value": Column(choice.period, "d"),
        "longest_period": Column(candidates.longest_period, "d"),
        "features": {name: Column(value) for name, value in sorted(candidates.features.items())},
        "classifier": {
            "n_training": Column(classifier.n_training),
            "classified": Column(classifier.classified),
            "period_right": Column(classifier.period_right),
        },
    }
    attributes = step.attributes({"method": choice.method})
    write_product(step.output(f"{ident}.h5"), ident, content, attributes)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format=f"{NAME}: %(message)s", stream=sys.stdout, force=True)
    sys.exit(run(main, module=NAME, version=VERSION))
