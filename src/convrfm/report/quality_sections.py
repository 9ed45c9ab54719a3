"""The sections of a fit's report on test images: simple methods beside the model, recall, and mistakes to look at."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Integer, Shaped

from ..maths.intervals import wilson_interval
from ..plots import plot_thumbnails
from ..plots.labels import drawable_name
from .fit_record import Baseline, Mistake, RoundRecord
from .headline import interval_text, score_text
from .page import Section

MOST_RECALLS = 30


def compared_with(baselines: Sequence[Baseline], kept: RoundRecord) -> str:
    """A sentence on the model and the best of the simple methods."""
    best = max(baselines, key=lambda baseline: baseline.score)
    kept_score = kept.test_score or 0.0
    comparison = "more than" if kept_score > best.score else "as much as" if kept_score == best.score else "less than"
    low, high = kept.test_interval or (kept_score, kept_score)
    uncertain = kept_score != best.score and low <= best.score <= high
    chance = "; the difference may be chance, since the model's 95% interval holds both" if uncertain else ""
    ahead = " docs/accuracy.md has what may help, more images first of all." if kept_score < best.score else ""
    return (
        f"The model's test accuracy of {score_text(kept.test_score, 'classification')} is {comparison} that of the best simple "
        f"method ({best.name}, {score_text(best.score, 'classification')}){chance}.{ahead}"
    )


def baselines_section(
    fixed: RoundRecord,
    kept: RoundRecord,
    baselines: Sequence[Baseline],
    n_train: int,
    roc_area: float | None,
    *,
    augmented: bool,
) -> Section:
    """The model beside simple methods on the same split."""
    fewer = min(baseline.n_train for baseline in baselines)
    but = f", but the simple methods on {fewer} of these {n_train} alone," if fewer < n_train else ""
    copies = " (this model on moved or mirrored copies of them, too)" if augmented else ""
    section = Section("Beside simple methods").prose(
        f"{compared_with(baselines, kept)} All were trained on the same training images{copies}{but} and tested on the same "
        "test images."
    )
    scored = [
        ("this model", kept.test_score, kept.test_interval),
        ("the fixed kernel", fixed.test_score, fixed.test_interval),
        *((baseline.name, baseline.score, baseline.interval) for baseline in baselines),
    ]
    rows = [
        [name, score_text(score, "classification"), interval_text(interval, "classification")]
        for name, score, interval in scored
    ]
    section.table(
        ["Method", "Test accuracy", "95% interval"],
        rows,
        caption="Logistic regression and random forest are scikit-learn's, on pixels; larger images than 32 x 32 are averaged.",
        marked_rows=[0],
    )
    if roc_area is not None:
        section.prose(
            f"The area under the ROC curve is {roc_area:.3f}: the probability that the model scores a test image of the second "
            "class higher than one of the first; 0.5 is chance."
        )
    return section


def show_recalls(
    section: Section, counts: Integer[np.ndarray, "k k"], classes: Sequence[object] | Shaped[np.ndarray, " k"]
) -> Section:
    """Add the share of each class's test images that was recognized, the worst first."""
    totals, right = counts.sum(1), counts.diagonal()
    tested = np.flatnonzero(totals)
    order = tested[np.argsort(right[tested] / totals[tested], kind="stable")]
    rows = [
        [
            classes[i],
            int(totals[i]),
            score_text(right[i] / totals[i], "classification"),
            interval_text(wilson_interval(int(right[i]), int(totals[i])), "classification"),
        ]
        for i in order[:MOST_RECALLS]
    ]
    more = f" The {MOST_RECALLS} worst of {len(order)} classes." if len(order) > MOST_RECALLS else ""
    return section.table(
        ["True class", "Test images", "Recall", "95% interval"],
        rows,
        caption=f"Recall: the share of a class's test images that was recognized.{more}",
    )


def show_mistakes(
    section: Section, mistakes: Sequence[Mistake], classes: Sequence[object] | Shaped[np.ndarray, " k"]
) -> Section:
    """Add pictures of the mistakes that the model was surest of; classes are named as beside the confusion matrix."""
    if not mistakes:
        return section
    names = {label: drawable_name(label, number) for number, label in enumerate(np.asarray(classes).tolist())}
    return section.figure(
        plot_thumbnails(
            np.stack([mistake.image for mistake in mistakes]),
            [f"{names[m.true]}\n→ {names[m.predicted]} {m.probability:.0%}" for m in mistakes],
        ),
        caption="The mistakes that the model was surest of: the true class, what it was taken for, and with what probability. "
        f"From the left: {', '.join(mistake.name for mistake in mistakes)}.",
        alt=f"{len(mistakes)} test images that were misclassified.",
        name="mistakes",
    )
