"""The tour: two tasks whose signal is local, and what the learned metrics do to photographs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from sklearn.datasets import load_sample_images

from ..datasets import ImageData, load
from ..datasets.walking import visible
from ..estimators import ConvRFMClassifier
from ..kernels import NTK, vanilla
from ..kernels.devices import chosen_device
from ..plots import plot_feature_maps
from ..report import Page, RoundRecord, Section
from ..report.fit_sections import feature_maps_section, metric_section, rounds_section
from ..report.headline import score_text
from ..storage.held_folder import held
from .evaluation import evaluate
from .fit_folder import check_folder
from .run_files import lengths_before, sample_indices

REPORT = "report.html"
PHOTO_STEP = 3  # every third pixel of 427 x 640


@dataclass(frozen=True)
class Task:
    """One station of the tour."""

    name: str
    data: str
    n_train: int
    n_test: int
    depth: int
    patch_size: int
    updates: int
    story: str


@dataclass(frozen=True)
class Result:
    """A line of the table that ends the tour."""

    name: str
    images: str
    fixed: str
    learned: str
    updates: str


TASKS = (
    Task(
        "star", "star", 50, 1000, 1, 11, 2,
        "Color noise; half of the images carry a small star at a random place. A fixed kernel weighs all "
        "directions of a patch alike and gets lost in the noise. The learned metric finds out what a star looks like.",
    ),
    Task(
        "noisy digits", "noisy-digits", 800, 500, 2, 3, 3,
        "scikit-learn's digits, enlarged to 16 x 16 and pasted at a random place into 24 x 24 noise. What matters are "
        "strokes, not single pixels: the learned metric turns into a set of edge and blob detectors.",
    ),
)  # fmt: skip


def run_demo(out: Path, *, overwrite: bool, seed: int, device: str, verbose: bool) -> tuple[list[Result], Path]:
    """Run both tasks, write the report, and return the table's lines and the report's path.

    Raises:
        InputError: if the folder holds something else than a report, or one that may not be overwritten.
    """
    chosen_device(device)  # what is not there leaves nothing on disk
    alone = out.is_dir() and [path.name for path in visible(out)] == [REPORT]
    check_folder(out, overwrite=overwrite, holds_run=alone)
    with held(out):
        return _run(out, seed=seed, device=device, verbose=verbose)


def _run(out: Path, *, seed: int, device: str, verbose: bool) -> tuple[list[Result], Path]:
    page = Page("Feature learning without back-propagation", "A tour of convrfm on generated and bundled images")
    results, models = [], []
    for task in TASKS:
        data = load(task.data, n_train=task.n_train, n_test=task.n_test, seed=seed)
        kernel = NTK(vanilla(task.depth, task.patch_size))
        model = ConvRFMClassifier(
            kernel, n_iterations=task.updates, device=device, random_state=seed, verbose=verbose
        ).fit(data.x_train, data.y_train)
        (rounds,) = evaluate(model, data.x_test, data.y_test).layers
        results.append(result_of(task, model, rounds))
        models.append(model)
        page.sections.extend(task_sections(task, data, model, rounds))
    summary = Section("In short").table(
        ["Task", "Images (train / test)", "Fixed kernel", "ConvRFM", "Updates kept"],
        [[r.name, r.images, r.fixed, r.learned, r.updates] for r in results],
        caption="Test accuracy; the kept update is the best by leave-one-out on the training images.",
    )
    page.sections.insert(0, summary)
    page.sections += photographs_sections(*models)
    return results, page.write(out / REPORT)


def task_sections(
    task: Task, data: ImageData, model: ConvRFMClassifier, rounds: Sequence[RoundRecord]
) -> list[Section]:
    """The story of one task: its scores, its metric, and where the model looks."""
    samples = data.x_test[sample_indices(data.y_test)]
    sections = [
        Section(f"The task: {task.name}").prose(task.story).note(*data.notes),
        rounds_section(rounds, model.best_iteration_, "classification"),
    ]
    if model.best_iteration_:
        sections += [
            metric_section(model.feature_matrix_, (samples.shape[1], task.patch_size, task.patch_size)),
            feature_maps_section(samples, lengths_before(samples, model), model.feature_maps(samples)),
        ]
    else:
        sections[-1].note("No update was kept, so that there is no learned metric to show.")
    for section in sections[1:]:
        section.heading = f"{task.name[0].upper()}{task.name[1:]}: {section.heading[0].lower()}{section.heading[1:]}"
    return sections


def photographs_sections(in_color: ConvRFMClassifier, in_gray: ConvRFMClassifier) -> list[Section]:
    """What both metrics do to the two photographs that scikit-learn bundles: they have never seen any; one that was not
    learned does nothing to them.
    """
    photos = photographs()
    gray = photos.mean(1, keepdims=True)
    learned = [
        each for each in ((gray, in_gray, "noisy digits"), (photos, in_color, "star")) if each[1].best_iteration_
    ]
    section = Section("On photographs").prose(
        "Neither model has ever seen a photograph. Its metric weighs every patch of one all the same: where "
        "|M^(1/2) x[u]| is large, the patch holds what mattered in the task. Before learning, the map is the plain "
        "length |x[u]|, which follows brightness."
    )
    for images, model, name in learned:
        section.figure(
            plot_feature_maps(
                images,
                {"before learning": lengths_before(images, model), "after learning": model.feature_maps(images)},
            ),
            caption=f"Photographs under the metric of the model trained on {name}.",
            alt=f"Two photographs, the length of their patches, and the same under the metric of {name}.",
        )
    return [section] if learned else []


def photographs() -> Float[np.ndarray, "2 3 h w"]:
    """A temple and a flower, centered, at a third of their size."""
    images = np.stack(load_sample_images().images)[:, ::PHOTO_STEP, ::PHOTO_STEP].astype(np.float32) / 255
    images -= images.mean((1, 2), keepdims=True)
    return np.ascontiguousarray(np.moveaxis(images, -1, 1))


def result_of(task: Task, model: ConvRFMClassifier, rounds: Sequence[RoundRecord]) -> Result:
    """The table's line."""
    fixed, kept = rounds[0], rounds[model.best_iteration_]
    return Result(
        name=task.name,
        images=f"{task.n_train} / {task.n_test}",
        fixed=score_text(fixed.test_score, "classification"),
        learned=score_text(kept.test_score, "classification"),
        updates=f"{model.best_iteration_} of {task.updates}",
    )
