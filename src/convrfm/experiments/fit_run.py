"""One run of `convrfm fit`: from data to a folder with the model, its metrics, predictions, plots and a report."""

import csv
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from ..datasets import ImageData
from ..errors import InputError
from ..estimators import ConvRFMClassifier
from ..kernels.description import describe
from ..maths.patches import unfold_patches
from ..plots import (
    confusion_counts,
    house_style,
    plot_confusion,
    plot_eigenvectors,
    plot_feature_maps,
    plot_rounds,
    plot_spectrum,
)
from ..report import FitRecord, RoundRecord, fit_page
from ..storage.atomic import write_json, written_whole
from .evaluation import Evaluation, as_metrics, evaluate_rounds

FILES = {
    "report.html": "this page",
    "model.safetensors": "the fitted model: convrfm.load(path), or convrfm predict",
    "metrics.json": "scores of every round and all settings",
    "predictions.csv": "true and predicted label of every test image, and the score of every class",
    "plots": "the figures of this page",
}
SAMPLES = 4


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse the folder of a run that holds something, unless it may be overwritten, before anything is computed."""
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not overwrite)):
        raise InputError(f"{folder} exists already and is not empty. Choose another --out, or pass --overwrite.")


def write_run(
    folder: Path, model: ConvRFMClassifier, data: ImageData, settings: Mapping[str, object], command: str
) -> list[RoundRecord]:
    """Evaluate a fitted model on the test images and write everything into its folder."""
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    model.save(folder / "model.safetensors", preprocessing=data.preprocessing)
    evaluation = evaluate_rounds(model, data.x_test, data.y_test)
    write_predictions(folder / "predictions.csv", model, data, evaluation)
    metrics = {
        "rounds": as_metrics(evaluation.rounds),
        "best_iteration": model.best_iteration_,
        "n_train": len(data.x_train),
        "n_test": len(data.x_test),
        "classes": [str(c) for c in model.classes_],
        "notes": list(data.notes),
        "settings": dict(settings),
        "kernel": describe(model.kernel_),
        "preprocessing": data.preprocessing.to_dict(),
        "versions": versions(),
    }
    write_json(folder / "metrics.json", metrics)
    record = fit_record(model, data, evaluation, settings, command)
    write_plots(folder / "plots", record)
    fit_page(record).write(folder / "report.html")
    return evaluation.rounds


def write_predictions(path: Path, model: ConvRFMClassifier, data: ImageData, evaluation: Evaluation) -> None:
    """A line for each test image: its name, true label, predicted label, and the output of every class."""
    with written_whole(path) as partial, partial.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["name", "true", "predicted", *(f"score {c}" for c in model.classes_)])
        rows = zip(data.names_test, data.y_test, evaluation.predicted, evaluation.outputs, strict=True)
        for name, true, label, outputs in rows:
            table.writerow([name, true, label, *(f"{output:.6g}" for output in outputs)])


def fit_record(
    model: ConvRFMClassifier,
    data: ImageData,
    evaluation: Evaluation,
    settings: Mapping[str, object],
    command: str,
) -> FitRecord:
    """What the report shows of a run."""
    samples = data.x_test[sample_indices(data.y_test)]
    q = model.kernel_.window.size
    return FitRecord(
        title=f"ConvRFM on {settings['data']}",
        task="classification",
        rounds=evaluation.rounds,
        best_iteration=model.best_iteration_,
        feature_matrix=np.asarray(model.feature_matrix_, dtype=np.float64),
        patch_shape=(data.x_train.shape[1], q, q),
        sample_images=samples,
        feature_maps_before=patch_norms(samples, model),
        feature_maps_after=model.feature_maps(samples),
        y_true=data.y_test,
        y_pred=evaluation.predicted,
        classes=[c for c in data.classes if c in model.classes_ or c in data.y_test],
        n_train=len(data.x_train),
        n_test=len(data.x_test),
        selected_on="leave-one-out",
        command=command,
        settings=settings,
        versions=versions(),
        notes=data.notes,
        files=FILES,
    )


def patch_norms(images: Float[np.ndarray, "n c h w"], model: ConvRFMClassifier) -> Float[np.ndarray, "n rows cols"]:
    """|x[u]| at every position: the feature map of the identity."""
    patches = unfold_patches(torch.tensor(images), model.kernel_.window)
    return patches.norm(dim=1).numpy()


def sample_indices(labels: np.ndarray) -> list[int]:
    """The first image of each of the first few classes."""
    return [int(np.flatnonzero(labels == c)[0]) for c in np.unique(labels)[:SAMPLES]]


def write_plots(folder: Path, record: FitRecord) -> None:
    """The report's figures as PNG files."""
    train, leave_one_out = (
        np.array([getattr(r, name) for r in record.rounds]) for name in ("train_score", "loo_score")
    )
    tests = np.array([r.test_score for r in record.rounds], dtype=float)
    intervals = np.array([r.test_interval for r in record.rounds], dtype=float)
    axes = plot_rounds(train, leave_one_out, tests, intervals, chosen=record.best_iteration)
    assert record.y_true is not None
    assert record.y_pred is not None
    counts = confusion_counts(record.y_true, record.y_pred, record.classes)
    figures: dict[str, Any] = {
        "rounds": axes.figure,
        "eigenvectors": plot_eigenvectors(record.feature_matrix, record.patch_shape),
        "spectrum": plot_spectrum(record.feature_matrix).figure,
        "feature_maps": plot_feature_maps(record.sample_images, record.feature_maps_before, record.feature_maps_after),
        "confusion": plot_confusion(counts, record.classes).figure,
    }
    for name, figure in figures.items():
        with house_style():
            figure.savefig(folder / f"{name}.png", dpi=200)


def versions() -> dict[str, str]:
    """What the run was computed with."""
    names = ("convrfm", "torch", "numpy", "scipy", "scikit-learn")
    return {"Python": platform.python_version(), **{name: version(name) for name in names}}
