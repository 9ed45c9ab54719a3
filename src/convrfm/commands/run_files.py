"""The folder of a run of `convrfm fit`: the model, its metrics, predictions, plots and a report."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from sklearn.metrics import roc_auc_score

from ..cnfa.report import without_nan
from ..datasets import ImageData
from ..estimators import DeepConvRFMClassifier
from ..estimators.classification import Classifier
from ..estimators.learning.layers import FittedLayer
from ..estimators.learning.rounds import Round, best_round
from ..estimators.solving.solver import Metric
from ..kernels.description import describe
from ..maths.patches import response_lengths
from ..maths.psd import psd_factor
from ..maths.windows import Window
from ..report import Baseline, FitRecord, LayerRecord, Mistake, NextStep, fit_page
from ..report.versions import versions
from ..storage.atomic import write_json
from ..storage.models import FILE_NAME
from ..storage.tables import write_table
from .compared import compared_models
from .evaluation import Evaluation, as_metrics, evaluate

METRICS = "metrics.json"
FILES = {
    "report.html": "this page",
    FILE_NAME: "the fitted model, with its training images: convrfm.load(path), or convrfm predict",
    "predictions.csv": "true and predicted label of every test image, score and probability of every class",
    "plots": "the figures of this page",
    METRICS: "scores of every round and all settings",  # removed last: it tells that there is a run
}
INTERRUPTED = (
    "This fit was interrupted: the rounds that were finished are shown. The same command goes on with it; --overwrite would "
    "begin anew."
)
SAMPLES = 4
MISTAKES = 12


@dataclass(frozen=True)
class Beside:
    """What is told beside a fitted model.

    Attributes:
        baselines: simple methods on the same split.
        candidates: names of the models that the fit compared.
        next_steps: what to try after it.
    """

    baselines: Sequence[Baseline] = ()
    candidates: Sequence[str] = ()
    next_steps: Sequence[NextStep] = ()


def write_run(
    folder: Path,
    model: Classifier,
    data: ImageData,
    settings: Mapping[str, object],
    command: str,
    *,
    finished: bool = True,
    beside: Beside = Beside(),
) -> FitRecord:
    """Evaluate a fitted model on the test images, write everything into its folder, and give back what the report shows.

    Args:
        folder: that of the run.
        model: what was fitted.
        data: what it was fitted to.
        settings: all that decides the run.
        command: shown on the page.
        finished: whether the fit has all its rounds; otherwise the page says that it was interrupted.
        beside: what is told beside the model.
    """
    if not finished:
        data = replace(data, notes=(INTERRUPTED, *data.notes))
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    model.save(folder / FILE_NAME, preprocessing=data.preprocessing)
    evaluation = evaluate(model, data.x_test, data.y_test)
    write_predictions(folder / "predictions.csv", model, data, evaluation)
    record = fit_record(model, data, evaluation, settings, command, beside)
    metrics = {
        "finished": finished,
        "rounds": as_metrics(model, evaluation),
        **kept(model),
        "selected_on": record.selected_on,
        "baselines": [asdict(baseline) for baseline in record.baselines],
        "roc_area": record.roc_area,
        "recall": recalls(data, evaluation),
        "candidates": without_nan([asdict(candidate) for candidate in record.candidates]),
        "next_steps": [asdict(step) for step in record.next_steps],
        "n_train": len(data.x_train),
        "n_test": len(data.x_test),
        "classes": [str(c) for c in model.classes_],
        "notes": list(data.notes),
        "settings": dict(settings),
        "preprocessing": data.preprocessing.to_dict(),
        "versions": versions(),
    }
    page = fit_page(record)
    page.write_pictures(folder / "plots")
    page.write(folder / "report.html")
    write_json(folder / METRICS, metrics)  # last: it tells that the run is finished
    return record


def kept(model: Classifier) -> dict[str, object]:
    """The kept round and the kernel, of every layer where the model is deep, named as its attributes."""
    iterations = [layer.kept.iteration for layer in model.layers_]
    kernels = [describe(layer.kernel) for layer in model.layers_]
    if isinstance(model, DeepConvRFMClassifier):
        return {"best_iterations": iterations, "kernels": kernels, "centerings": model.centerings_}
    return {"best_iteration": iterations[0], "kernel": kernels[0]}


def write_predictions(path: Path, model: Classifier, data: ImageData, evaluation: Evaluation) -> None:
    """A line for each test image: its name, true and predicted label, output and probability of every class."""
    header = ["name", "true", "predicted", *(f"{what} {c}" for what in ("score", "p") for c in model.classes_)]
    numbers = zip(evaluation.outputs, evaluation.probabilities, strict=True)
    rows = zip(data.names_test, data.y_test, evaluation.predicted, numbers, strict=True)
    write_table(
        path,
        header,
        (
            [name, true, label, *(f"{o:.6g}" for o in outputs), *(f"{p:.4f}" for p in probabilities)]
            for name, true, label, (outputs, probabilities) in rows
        ),
    )


def recalls(data: ImageData, evaluation: Evaluation) -> dict[str, float]:
    """The share of every class's test images that was recognized."""
    hits = evaluation.predicted == data.y_test
    return {str(c): float(hits[data.y_test == c].mean()) for c in np.unique(data.y_test)}


def roc_area(model: Classifier, data: ImageData, evaluation: Evaluation) -> float | None:
    """The area under the ROC curve, where model and test images have the same two classes.

    By the outputs: of a low temperature the probabilities are all but 0 and 1, and no longer in order.
    """
    if len(model.classes_) != 2 or not np.array_equal(np.unique(data.y_test), model.classes_):
        return None
    first, second = evaluation.outputs.astype(float).T
    return float(roc_auc_score(data.y_test == model.classes_[1], second - first))


def surest_mistakes(data: ImageData, evaluation: Evaluation) -> list[Mistake]:
    """Those with the highest probability of the wrong class first."""
    wrong, sure = np.flatnonzero(evaluation.predicted != data.y_test), evaluation.probabilities.max(1)
    return [
        Mistake(
            image=data.x_test[i],
            name=data.names_test[i],
            true=data.y_test[i],
            predicted=evaluation.predicted[i],
            probability=float(sure[i]),
        )
        for i in wrong[np.argsort(-sure[wrong], kind="stable")][:MISTAKES]
    ]


def fit_record(
    model: Classifier,
    data: ImageData,
    evaluation: Evaluation,
    settings: Mapping[str, object],
    command: str,
    beside: Beside,
) -> FitRecord:
    """What the report shows of a run."""
    compared = compared_models(model, beside.candidates)
    samples = data.x_test[sample_indices(data.y_test)]
    deep = isinstance(model, DeepConvRFMClassifier)
    return FitRecord(
        title=f"{'Deep ' * deep}ConvRFM on {settings['data']}",
        task="classification",
        layers=layer_records(model, evaluation, samples),
        sample_images=samples,
        patch_lengths=lengths_before(samples, model),
        y_true=data.y_test,
        y_pred=evaluation.predicted,
        classes=[c for c in data.classes if c in model.classes_ or c in data.y_test],
        n_train=len(data.x_train),
        n_test=len(data.x_test),
        judge=model.layers_[-1].kept.judge,
        chosen=model.keep == "best",
        command=command,
        settings=settings,
        versions=versions(),
        notes=data.notes,
        files=FILES,
        roc_area=roc_area(model, data, evaluation),
        mistakes=surest_mistakes(data, evaluation),
        baselines=beside.baselines,
        candidates=compared.records,
        chosen_candidate=compared.chosen,
        next_steps=beside.next_steps,
        n_copies=len(model.x_fit_) - len(data.x_train),
    )


def layer_records(
    model: Classifier, evaluation: Evaluation, samples: Float[np.ndarray, "m c h w"]
) -> list[LayerRecord]:
    """What the report shows of every layer."""
    records = []
    for number, (layer, rounds) in enumerate(zip(model.layers_, evaluation.layers, strict=True), 1):
        q = layer.kernel.window.size
        shown = shown_round(layer) if len(model.layers_) == 1 else layer.kept
        metric, started = shown.metric, layer.rounds[0].metric
        records.append(
            LayerRecord(
                rounds=rounds,
                best_iteration=layer.kept.iteration,
                metric=None if metric is None else metric.cpu().numpy(),
                patch_shape=(shown.patch_entries // q**2, q, q),
                feature_maps=model.feature_maps(samples, number)
                if shown is layer.kept
                else lengths_under(metric, samples, layer.kernel.window),
                centering=None if layer.features is None else layer.features.centering,
                shown_iteration=shown.iteration,
                first_metric=None if started is None else started.cpu().numpy(),
            )
        )
    return records


def lengths_before(images: Float[np.ndarray, "n c h w"], model: Classifier) -> Float[np.ndarray, "n rows cols"]:
    """|M^(1/2) x[u]| at every position under the M of round 0."""
    first = model.layers_[0]
    return lengths_under(first.rounds[0].metric, images, first.kernel.window)


def shown_round(layer: FittedLayer) -> Round:
    """The kept round, or where that is the fixed kernel, which has learned nothing, the best learned one."""
    return layer.kept if layer.kept.iteration or len(layer.rounds) == 1 else best_round(layer.rounds[1:])


def lengths_under(
    metric: Metric, images: Float[np.ndarray, "n c h w"], window: Window
) -> Float[np.ndarray, "n rows cols"]:
    """|M^(1/2) x[u]| at every position."""
    root = None if metric is None else psd_factor(metric.cpu())
    given = torch.tensor(images)
    return response_lengths(given if root is None else given.to(root), root, window).numpy()


def sample_indices(labels: np.ndarray) -> list[int]:
    """The first image of each of the first few classes."""
    return [int(np.flatnonzero(labels == c)[0]) for c in np.unique(labels)[:SAMPLES]]
