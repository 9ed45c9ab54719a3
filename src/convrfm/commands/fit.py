"""What `convrfm fit` does: from data by name to a fitted model and the folder of its run."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

from .. import datasets
from ..errors import ModelFileError
from ..estimators import load
from ..estimators.classification import Classifier
from ..estimators.learning.patch_statistics import check_contrastable
from ..estimators.settings import check_judge, check_parameters, ridge_candidates
from ..kernels.devices import chosen_device
from ..kernels.features import check_drawable
from ..quantities import counted, duration, size
from ..report import FitRecord
from ..storage.models import FILE_NAME
from ..workers import check_workers
from .baselines import baselines
from .candidates import Model
from .choices import Validation
from .evaluation import expected_seconds
from .fit_folder import TILES, claimed
from .fit_settings import FitSettings
from .next_steps import LOOKS, may_propose, next_steps, time_to_look
from .run_files import Beside, write_run
from .terminal import at_work, say_notes

APART = "The validation images are {}; --validation train adds them to the training images."
LARGE = 100 << 20  # bytes of a model that are told of
ENOUGH_TO_TELL = 0.5  # seconds of work that tell how fast this machine gets on


def fit(
    settings: FitSettings,
    out: Path,
    *,
    overwrite: bool,
    quiet: bool,
    command: str,
    defaults: Mapping[str, Any],
    where: int | str | None = None,
) -> FitRecord:
    """Learn from images and write the run.

    Args:
        settings: what decides it.
        out: its folder.
        overwrite: whether to replace an earlier run there.
        quiet: whether to leave out progress bars, what was read, and estimates of short fits.
        command: shown on the page.
        defaults: what options are where nobody changes them, for the commands of what to try next.
        where: who shares the work of conjugate gradients, as `workers.workers` has it; None for this process.

    Returns:
        What the report shows.

    Raises:
        InputError: if anything does not fit; the message says what.
    """
    model = settings.unfitted(verbose=not quiet).set_params(tile_folder=str(out.resolve() / TILES), workers=where)
    check_without_images(settings, model)
    check_workers(where)
    with claimed(out, asdict(settings), overwrite=overwrite) as goes_on:
        images = datasets.load(
            settings.data,
            n_train=settings.n_train,
            n_test=settings.n_test,
            seed=settings.seed,
            image_size=None if settings.image_size is None else (settings.image_size, settings.image_size),
            center=settings.center,
            unreadable=settings.unreadable.value,
            sigma=settings.sigma,
            download=settings.download,
            labels=settings.labels,
            validation=settings.validation.value,
        )
        say_notes(images.notes if quiet else (images.summary, *images.notes))
        selection = images.selection if settings.cv is None else None
        if images.selection is not None:
            say_notes(
                [APART.format("not used: folds choose (--cv)" if selection is None else "what the fit chooses on")]
            )
        model.set_params(choose_on="loo" if selection is None else "selection")
        if goes_on:
            model = with_finished_rounds(model, out)

        def save(rounds_so_far: Classifier) -> None:
            rounds_so_far.save(out / FILE_NAME, preprocessing=images.preprocessing)

        if not quiet:
            say_notes([beside_the_rounds(settings)])
        began, worked = time.perf_counter(), time.process_time()
        model.fit(images.x_train, images.y_train, selection=selection, after_round=save, n_test=len(images.x_test))
        took, worked = time.perf_counter() - began, time.process_time() - worked
        alone = where is None and chosen_device(model.device).type == "cpu"
        pace = pace_of(took, worked, alone=alone)
        finished = len(model.history_) == settings.n_rounds
        compares = settings.baselines and finished
        test = counted(len(images.x_test), "test image")
        if not quiet:
            left = ["baselines (--no-baselines leaves them out)"] if compares else []
            if finished and may_propose(settings):
                left.append(f"what to try next, where little was gained (up to {duration(time_to_look(took))})")
            with at_work(f"how long the scores of {test} take", quiet=quiet):
                scored = duration(expected_seconds(model, images.x_test))
            left += [f"the scores of {test} under every round (about {scored}), and the page"]
            say_notes(
                [
                    f"The rounds took {duration(took)}, with the look ahead. What is left: {', '.join(left)}.",
                    *at_the_end(model),
                ]
            )
        with at_work("baselines", quiet=quiet):
            compared_with = baselines(images, settings.seed) if compares else []
        with at_work("what to try next, and what it would take", quiet=quiet):
            others = folders_beside(out)
            steps = (
                next_steps(
                    settings, model, images, pace, took, lambda other: other.command(next(others), defaults, where)
                )
                if finished
                else []
            )
        beside = Beside(compared_with, settings.candidates.names, steps)
        with at_work(f"the scores of {test} under every round, and the page", quiet=quiet):
            record = write_run(out, model, images, asdict(settings), command, finished=finished, beside=beside)
        say_notes(large_model(out / FILE_NAME, model))
        return record


def beside_the_rounds(settings: FitSettings) -> str:
    """What takes time beside what the fit tells of itself, said before it begins."""
    parts = ["baselines (less than a minute)"] if settings.baselines else []
    if may_propose(settings):
        parts.append(f"what to try next, where little was gained ({duration(LOOKS)}, or half as long as the rounds)")
    return f"Beside what the fit tells, this takes {', '.join([*parts, 'and ' * bool(parts) + 'some seconds for the page'])}."


def large_model(path: Path, model: Model) -> list[str]:
    """A note on the file of a model that is large: most of it are the training images."""
    if (whole := path.stat().st_size) < LARGE:
        return []
    return [
        f"{path} has {size(whole)}, of which the training images take {size(model.x_fit_.nbytes)}: predictions by a kernel "
        "need them, and fits that go on."
    ]


def at_the_end(model: Model) -> list[str]:
    """A note where the ridge that was chosen is the largest of those that were tried."""
    kept = model.layers_[-1].kept
    tried = [*kept.path]
    if len(tried) == 1 or kept.ridge < max(tried):
        return []
    return [
        f"The ridge that was chosen, {kept.ridge:g}, is the largest of the {len(tried)} that were tried: there may be little "
        f"to learn here, or the noise asks for more. --ridge {10 * kept.ridge:g} tries one that is ten times as large."
    ]


def pace_of(took: float, worked: float, *, alone: bool) -> float | None:
    """How many seconds pass for one in which this process works; None after too little work to tell, or where others did it."""
    return took / worked if alone and worked > ENOUGH_TO_TELL else None


def folders_beside(out: Path) -> Iterator[Path]:
    """Where other runs may go: numbered as those that follow this one, none of them there yet."""
    named = out if out.name not in ("", "..") else out.resolve()
    return (other for number in count(2) if not (other := named.with_name(f"{named.name}-{number}")).exists())


def check_without_images(settings: FitSettings, model: Model) -> None:
    """Raise `InputError` for what no images make possible, before they are read."""
    check_parameters(model.get_params(deep=False))
    if settings.validation is Validation.TRAIN:
        check_judge(model.get_params(deep=False), None)
    ridge_candidates(model.ridge)
    chosen_device(model.device)
    for kernel in (family(1) for family in settings.candidates.families):
        if model.solver == "features":
            check_drawable(kernel)
        if model.patch_normalization is not None:
            check_contrastable(kernel)


def with_finished_rounds(model: Model, folder: Path) -> Model:
    """The model with the rounds that an interrupted run of it left in its folder, from which `fit` goes on."""
    try:
        earlier = load(folder, model.device)
    except ModelFileError as error:
        say_notes([f"{error} The fit begins anew."])
        return model
    finished = counted(len(earlier.history_), "finished round")
    say_notes([f"Going on after {finished}; --overwrite begins anew."])
    return earlier.set_params(**(model.get_params(deep=False) | {"warm_start": True}))
