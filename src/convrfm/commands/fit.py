"""What `convrfm fit` does: from data by name to a fitted model and the folder of its run."""

import functools
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import datasets
from ..errors import ModelFileError
from ..estimators import ConvRFMClassifier, DeepConvRFMClassifier, load
from ..estimators.classification import Classifier
from ..estimators.settings import check_parameters, ridge_candidates
from ..kernels.devices import chosen_device
from ..report import FitRecord
from ..storage.models import FILE_NAME
from .baselines import baselines
from .choices import KernelName, Unreadable, Validation
from .fit_folder import claimed
from .kernel_by_name import kernel_of
from .run_files import write_run
from .terminal import say_notes

Model = ConvRFMClassifier | DeepConvRFMClassifier


@dataclass(frozen=True)
class FitSettings:
    """All that decides a run of `convrfm fit`, named as its options are."""

    data: str
    kernel: KernelName
    depth: int
    patch_size: int
    bandwidth: float
    iterations: int
    ridge: float | None
    deep: bool
    filters: int
    cv: int | None
    agop_samples: int | None
    n_train: int | None
    n_test: int | None
    image_size: int | None
    center: bool
    sigma: float | None
    labels: Path | None
    validation: Validation
    unreadable: Unreadable
    baselines: bool
    download: bool
    seed: int
    device: str


def fit(settings: FitSettings, out: Path, *, overwrite: bool, quiet: bool, command: str) -> FitRecord:
    """Learn from images and write the run.

    Args:
        settings: what decides it.
        out: its folder.
        overwrite: whether to replace an earlier run there.
        quiet: whether to leave out progress bars.
        command: shown on the page.

    Returns:
        What the report shows.

    Raises:
        InputError: if anything does not fit; the message says what.
    """
    model = unfitted(settings).set_params(
        n_iterations=settings.iterations,
        ridge="loo" if settings.ridge is None else settings.ridge,
        agop_samples=settings.agop_samples,
        cv=settings.cv,
        device=settings.device,
        random_state=settings.seed,
        verbose=not quiet,
    )
    check_parameters(model.get_params(deep=False), None)
    ridge_candidates(model.ridge)
    chosen_device(model.device)
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
        say_notes(images.notes)
        selection = images.selection if settings.cv is None else None
        model.set_params(choose_on="loo" if selection is None else "selection")
        if goes_on:
            model = with_finished_rounds(model, out)

        def save(rounds_so_far: Classifier) -> None:
            rounds_so_far.save(out / FILE_NAME, preprocessing=images.preprocessing)

        model.fit(images.x_train, images.y_train, selection=selection, after_round=save)
        n_rounds = (settings.depth if settings.deep else 1) * (settings.iterations + 1)
        finished = sum(len(layer.rounds) for layer in model.layers_) == n_rounds
        beside = baselines(images, settings.seed) if settings.baselines and finished else []
        return write_run(out, model, images, asdict(settings), command, finished=finished, beside=beside)


def with_finished_rounds(model: Model, folder: Path) -> Model:
    """The model with the rounds that an interrupted run of it left in its folder, from which `fit` goes on."""
    try:
        earlier = load(folder, model.device)
    except ModelFileError as error:
        say_notes([f"{error} The fit begins anew."])
        return model
    say_notes([f"Going on after {sum(len(layer.rounds) for layer in earlier.layers_)} finished rounds."])
    return earlier.set_params(**(model.get_params(deep=False) | {"warm_start": True}))


def unfitted(settings: FitSettings) -> Model:
    """One layer, or layer upon layer with the kernel of each layer's depth."""
    family = functools.partial(kernel_of, settings.kernel, patch_size=settings.patch_size, bandwidth=settings.bandwidth)
    if settings.deep:
        return DeepConvRFMClassifier(family, depth=settings.depth, n_filters=settings.filters)
    return ConvRFMClassifier(family(settings.depth))
