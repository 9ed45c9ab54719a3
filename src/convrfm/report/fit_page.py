"""The report of one run of `convrfm fit`."""

from ..plots import confusion_counts
from .comparison_sections import candidates_section, next_section
from .fit_record import FitRecord, best_learned
from .fit_sections import (
    ROUND_0,
    confusion_section,
    feature_maps_section,
    metric_section,
    reproduction_section,
    rounds_section,
)
from .headline import choice, choice_of_layers, headline, headline_of_layers, measure_name, optimism, score_text
from .layer_sections import maps_of_layers_section, metrics_section, rounds_of_layers_section, stages_section
from .page import Page, Section
from .quality_sections import baselines_section, show_mistakes, show_recalls


def fit_page(record: FitRecord) -> Page:
    """Put a finished run on one page: the result first, then what was learned, then how to repeat it."""
    sections = [
        summary_section(record),
        *(_sections(record) if len(record.layers) == 1 else _sections_of_layers(record)),
    ]
    if record.candidates:
        sections.insert(1, candidates_section(record.candidates, record.chosen_candidate, record.task, record.judge))
    if record.next_steps:
        sections.insert(1, next_section(record))
    if record.task == "classification" and record.y_true is not None and record.y_pred is not None:
        if record.baselines:
            fixed, kept = record.stages[0], record.stages[-1]
            beside = baselines_section(
                fixed,
                kept,
                record.baselines,
                record.n_train,
                record.roc_area,
                augmented=bool(record.settings.get("augment")),
            )
            sections.insert(1, beside)
        mistakes = confusion_section(record.y_true, record.y_pred, record.classes)
        show_recalls(mistakes, confusion_counts(record.y_true, record.y_pred, record.classes), record.classes)
        sections.append(show_mistakes(mistakes, record.mistakes, record.classes))
    sections.append(reproduction_section(record.command, record.settings, record.versions, record.files))
    return Page(record.title, _subtitle(record), sections)


def summary_section(record: FitRecord) -> Section:
    """The result in words and in four numbers, and the remarks on the data."""
    fixed, kept = record.stages[0], record.stages[-1]
    iterations = [layer.best_iteration for layer in record.layers]
    most = max(len(layer.rounds) for layer in record.layers)
    section = Section("In short")
    if len(record.layers) == 1:
        rounds = record.layers[0].rounds
        section.lead(headline(rounds, iterations[0], record.task, record.n_test, record.judge))
        section.prose(choice(kept, record.selected_on, len(rounds)))
    else:
        section.lead(headline_of_layers(record.stages, record.task, record.n_test, record.judge))
        section.prose(choice_of_layers(record.stages[1:], record.selected_on, most))
    if said := optimism(kept, record.task, record.judge, learned=any(iterations)):
        section.prose(said)
    if fixed.test_score is None or kept.test_score is None:
        measure = record.judge.scored(measure_name(record.task))
        first, last = fixed.held_out_score, kept.held_out_score
    else:
        measure, first, last = f"test {measure_name(record.task)}", fixed.test_score, kept.test_score
    updates = most - 1
    if len(record.layers) == 1 and record.layers[0].gained_nothing:
        best = best_learned(record.layers[0].rounds)
        if best.test_score is None:  # of a deep model of one layer, whose kept round alone is scored
            learned, of = best.held_out_score, record.judge.scored(measure_name(record.task))
        else:
            learned, of = best.test_score, measure
        compared = (score_text(learned, record.task), f"{of} of round {best.iteration}, the best learned one")
    else:
        compared = (score_text(first, record.task), f"{measure} of the fixed kernel")
    section.highlights(
        [
            (score_text(last, record.task), measure),
            compared,
            (
                f"{', '.join(map(str, iterations))} of {updates}",
                "updates of M kept" + " by layer" * (len(iterations) > 1),
            ),
            (
                f"{sum(r.seconds for layer in record.layers for r in layer.rounds):.1f} s",
                "for all rounds" + " of this model" * bool(record.candidates),
            ),
        ]
    )
    return section.note(*record.notes)


def _sections(record: FitRecord) -> list[Section]:
    (layer,) = record.layers
    whitened = layer.first_metric is not None
    rounds = rounds_section(layer.rounds, layer.best_iteration, record.task, record.judge, whitened=whitened)
    if layer.shown == 0:
        return [rounds.note("M was not updated, so that there is no learned metric to show.")]
    learned = [
        metric_section(layer.feature_matrix, layer.patch_shape, layer.first_metric),
        feature_maps_section(record.sample_images, record.patch_lengths, layer.feature_maps, whitened=whitened),
    ]
    if layer.gained_nothing:
        learned[0].heading = f"What round {layer.shown} had learned"
        learned[1].heading = f"Where round {layer.shown} looked"
        for section in learned:
            section.note(
                f"This is the best learned round. It is not kept: the model is that of round 0, {ROUND_0[whitened]}."
            )
    return [rounds, *learned]


def _sections_of_layers(record: FitRecord) -> list[Section]:
    return [
        stages_section(record.stages, record.task, record.judge),
        rounds_of_layers_section(record.layers, record.task, record.judge),
        metrics_section(record.layers),
        maps_of_layers_section(record.sample_images, record.patch_lengths, record.layers),
    ]


def _subtitle(record: FitRecord) -> str:
    channels, size, _ = record.layers[0].patch_shape
    copies = f" ({record.n_train + record.n_copies} with their copies)" if record.n_copies else ""
    images = f"{record.n_train} training{copies} and {record.n_test or 'no'} test images"
    pixels = " by ".join(map(str, record.sample_images.shape[:1:-1]))
    colors = f"{channels} channel{'s' if channels > 1 else ''}"
    layers = f"; {len(record.layers)} layers" * (len(record.layers) > 1)
    return f"{images} of {pixels} pixels, {colors}; patches of {size} by {size}{layers}"
