"""What `convrfm fit` does: from data by name to a fitted model and the folder of its run."""

import functools
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import datasets, kernels
from ..estimators import ConvRFMClassifier, DeepConvRFMClassifier
from ..kernels.patch_kernel import PatchKernel
from ..report import FitRecord
from .choices import KernelName, Unreadable, Validation
from .run_files import check_folder, write_run
from .terminal import say_notes


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
    model = unfitted(settings)
    check_folder(out, overwrite=overwrite)
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
    on_selection = images.selection is not None and settings.cv is None
    model.set_params(
        n_iterations=settings.iterations,
        ridge="loo" if settings.ridge is None else settings.ridge,
        agop_samples=settings.agop_samples,
        cv=settings.cv,
        choose_on="selection" if on_selection else "loo",
        device=settings.device,
        random_state=settings.seed,
        verbose=not quiet,
    ).fit(images.x_train, images.y_train, selection=images.selection if on_selection else None)
    return write_run(out, model, images, asdict(settings), command)


def unfitted(settings: FitSettings) -> ConvRFMClassifier | DeepConvRFMClassifier:
    """One layer, or layer upon layer with the kernel of each layer's depth."""
    family = functools.partial(kernel_of, settings.kernel, patch_size=settings.patch_size, bandwidth=settings.bandwidth)
    if settings.deep:
        return DeepConvRFMClassifier(family, depth=settings.depth, n_filters=settings.filters)
    return ConvRFMClassifier(family(settings.depth))


def kernel_of(name: KernelName, depth: int, patch_size: int, bandwidth: float) -> PatchKernel:
    """The kernel with these settings, as far as they concern it."""
    if name in (KernelName.NTK, KernelName.NNGP):
        kind = kernels.NTK if name is KernelName.NTK else kernels.NNGP
        return kind(kernels.vanilla(depth, patch_size))
    return (kernels.Laplace if name is KernelName.LAPLACE else kernels.Gaussian)(patch_size, bandwidth)
