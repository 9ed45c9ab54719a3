"""The report of one run of `convrfm fit`."""

from .fit_record import FitRecord
from .fit_sections import (
    confusion_section,
    feature_maps_section,
    metric_section,
    reproduction_section,
    rounds_section,
)
from .headline import choice, headline, measure_name, score_text
from .page import Page, Section


def fit_page(record: FitRecord) -> Page:
    """Put a finished run on one page: the result first, then what was learned, then how to repeat it."""
    sections = [
        summary_section(record),
        rounds_section(record.rounds, record.best_iteration, record.task),
        metric_section(record.feature_matrix, record.patch_shape),
        feature_maps_section(record.sample_images, record.feature_maps_before, record.feature_maps_after),
    ]
    if record.task == "classification" and record.y_true is not None and record.y_pred is not None:
        sections.append(confusion_section(record.y_true, record.y_pred, record.classes))
    sections.append(reproduction_section(record.command, record.settings, record.versions, record.files))
    return Page(record.title, _subtitle(record), sections)


def summary_section(record: FitRecord) -> Section:
    """The result in words and in four numbers, and the remarks on the data."""
    fixed, chosen = record.rounds[0], record.rounds[record.best_iteration]
    if fixed.test_score is None or chosen.test_score is None:
        measure, first, last = f"leave-one-out {measure_name(record.task)}", fixed.loo_score, chosen.loo_score
    else:
        measure, first, last = f"test {measure_name(record.task)}", fixed.test_score, chosen.test_score
    section = Section("In short")
    section.lead(headline(record.rounds, record.best_iteration, record.task, record.n_test))
    section.prose(choice(record.best_iteration, record.selected_on))
    section.highlights(
        [
            (score_text(last, record.task), measure),
            (score_text(first, record.task), f"{measure} of the fixed kernel"),
            (f"{record.best_iteration} of {len(record.rounds) - 1}", "updates of M kept"),
            (f"{sum(r.seconds for r in record.rounds):.1f} s", "for all rounds"),
        ]
    )
    return section.note(*record.notes) if record.notes else section


def _subtitle(record: FitRecord) -> str:
    channels, size, _ = record.patch_shape
    images = f"{record.n_train} training and {record.n_test or 'no'} test images"
    pixels = " by ".join(map(str, record.sample_images.shape[:1:-1]))
    colours = f"{channels} channel{'s' if channels > 1 else ''}"
    return f"{images} of {pixels} pixels, {colours}; patches of {size} by {size}"
