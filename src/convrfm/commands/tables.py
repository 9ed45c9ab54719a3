"""What commands print as tables."""

from collections.abc import Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from ..cnfa import Report
from ..cnfa.verdict import rotated_title
from ..report import FitRecord, LayerRecord
from ..report.headline import held_out_text, interval_text, score_text, shrinkage_text, what_chose


def layers_table(report: Report) -> Table:
    """Correlation of CNFM and AGOP in every layer, beside its rotation control; what was left out, and the verdict."""
    left_out = [f"{skipped.name} ({skipped.kind}) was left out: {skipped.reason}." for skipped in report.skipped]
    caption = escape("\n".join([report.verdict, *left_out]))
    rotated_column = rotated_title(report.layers)
    table = Table("layer", "kind", "cosine", "Pearson", rotated_column, caption=caption, caption_justify="left")
    for layer in report.layers:
        trained, rotated = layer.correlations.trained, layer.correlations.rotated
        if layer.final:
            table.add_row(escape(layer.name), layer.kind, "1 by construction")
            continue
        values = (trained.cosine.value, trained.pearson.value, *([rotated.pearson.value] if rotated else []))
        table.add_row(escape(layer.name), layer.kind, *(f"{value:.3f}" for value in values))
    return table


def beside_table(record: FitRecord) -> Table:
    """Test accuracy of the model and of simple methods on the same split; for two classes the area under the ROC curve."""
    area = None if record.roc_area is None else f"area under the ROC curve: {record.roc_area:.3f}"
    table = Table("on the same split", "test (95% interval)", box=box.SIMPLE_HEAD, pad_edge=False, caption=area)
    kept = record.stages[-1]
    for name, score, interval in (
        ("this model", kept.test_score, kept.test_interval),
        *((b.name, b.score, b.interval) for b in record.baselines),
    ):
        table.add_row(name, "" if score is None else f"{score:.1%} ({interval_text(interval, 'classification')})")
    return table


def candidates_table(record: FitRecord) -> Table:
    """What every model reached that the fit compared; the kept one is marked."""
    table = Table("model", record.judge.label, "updates", "seconds", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, candidate in enumerate(record.candidates):
        table.add_row(
            f"{escape(candidate.name)}{' *' if number == record.chosen_candidate else ''}",
            held_out_text(candidate, record.task),
            ", ".join(map(str, candidate.iterations)),
            f"{candidate.seconds:.1f}",
        )
    return table


def rounds_table(layers: Sequence[LayerRecord], judge: str) -> Table:
    """Accuracy of every round of every layer, or by the judge its error where that is estimated; the kept ones are marked.

    It has room in 80 columns.
    """
    deep, estimated = len(layers) > 1, what_chose(layers[0].kept) == "squared error"
    shrunk = any(record.shrinkage is not None for layer in layers for record in layer.rounds)
    head = ["layer,\nround" if deep else "round"] + ["shrunk"] * shrunk
    judged = f"{judge}{' error' * estimated}"
    if shrunk:
        judged = judged.replace("-", "-\n", 1).replace(" ", "\n")
    scores = ("ridge", "train", judged, "test (95% interval)", "seconds")
    caption = f"{judge} is estimated, which squared errors bear and accuracies do not" if estimated else None
    table = Table(*head, *scores, box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False, caption=caption)
    for number, layer in enumerate(layers, 1):
        for record in layer.rounds:
            interval = interval_text(record.test_interval, "classification")
            table.add_row(
                f"{f'{number}, ' * deep}{record.iteration}{' *' if record is layer.kept else ''}",
                *[shrinkage_text(record.shrinkage)] * shrunk,
                f"{record.ridge:.1e}",
                f"{record.train_score:.1%}",
                f"{record.held_out_error:.4g}" if estimated else score_text(record.held_out_score, "classification"),
                "" if record.test_score is None else f"{record.test_score:.1%} ({interval})",
                f"{record.seconds:.1f}",
            )
        table.add_section()
    return table
