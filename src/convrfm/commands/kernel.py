"""What `convrfm kernel` does: from images by name to their kernel matrix as tiles on disk."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from .. import datasets
from ..datasets import Preprocessing
from ..errors import InputError
from ..estimators import load
from ..estimators.ahead.outlook import LONG_FIT_SECONDS
from ..estimators.learning.problem import LearnableKernel
from ..estimators.learning.progress import shown_progress
from ..estimators.solving.feature_solver import Features
from ..kernels.devices import chosen_device
from ..kernels.features import FeatureDraw
from ..kernels.kernel_tiles import KernelTiles, default_side
from ..quantities import counted, duration, size
from ..storage.locations import located
from ..storage.stored_kernel import StoredKernel, kept_kernel
from ..storage.tables import table_bytes
from ..workers import check_workers, workers
from .choices import KernelName, Network, TilePrecision, Unreadable
from .fit_folder import draw_of, settings_of
from .kernel_by_name import Family
from .terminal import remark, say_notes


@dataclass(frozen=True)
class KernelSettings:
    """All that decides a kernel matrix of `convrfm kernel`, named as its options are."""

    data: str
    against: str | None
    run: Path | None
    kernel: KernelName
    network: Network
    depth: int
    patch_size: int
    pool_size: int
    bandwidth: float
    n_train: int | None
    image_size: int | None
    precision: TilePrecision
    tile: int | None
    unreadable: Unreadable
    download: bool
    seed: int | None
    device: str


def kernel(settings: KernelSettings, out: str, *, quiet: bool, where: int | str | None = None) -> str:
    """Compute a kernel matrix, or what is missing of it, and verify every tile of it.

    Args:
        settings: what decides it.
        out: folder or address of the tiles; the names and labels of its rows and columns come beside it.
        quiet: whether to leave out the progress bar.
        where: who computes tiles, as `workers.workers` has it; None for this process.

    Returns:
        A sentence: what is on disk now.

    Raises:
        InputError: if anything does not fit; the message says what.
        MissingDependencyError: without Zarr, or without Dask where it is asked for.
    """
    location, device = located(out), chosen_device(settings.device)
    check_workers(where)
    with location.held():
        pass  # what cannot be written is told before images are read
    matrix_kernel, metric, made = kernel_and_metric(settings)
    images = datasets.load(
        settings.data,
        image_size=None if settings.image_size is None else (settings.image_size, settings.image_size),
        unreadable=settings.unreadable.value,
        download=settings.download,
        **_draw(settings, settings.data),
    )
    say_notes(images.notes)
    if made is not None and replace(made, center=None) != images.preprocessing:
        raise InputError(
            f"{settings.run} was fitted to {made}; {settings.data} gives {images.preprocessing}. Pass the data of the run, "
            "and its --image-size."
        )
    preprocessing = made or images.preprocessing
    as_drawn = replace(preprocessing, image_size=None, divide_by=1.0)
    x, z = torch.from_numpy(as_drawn.apply(images.x_train)).to(device), None
    tables = {"rows": name_table(images.names_train, images.y_train)}
    if settings.against is not None:
        others, names, labels, notes = datasets.load_for_prediction(
            settings.against,
            preprocessing,
            unreadable=settings.unreadable.value,
            download=settings.download,
            **_draw(settings, settings.against),
        )
        say_notes(notes)
        z, tables["columns"] = torch.from_numpy(others).to(device), name_table(names, labels)
    metric = None if metric is None else metric.to(x)
    matrix_kernel(x[:1], feature_matrix=metric)  # what it refuses leaves nothing on disk
    columns = len(x) if z is None else len(z)
    side = settings.tile or default_side(max(len(x), columns))
    recipe = KernelTiles(matrix_kernel, x, z, metric, side)
    origin = {"data": settings.data, "against": settings.against}
    beside = str(location).rpartition("/")[2].removesuffix(".zarr")
    with workers(where) as helping, kept_kernel(location, recipe, settings.precision.value, origin, helping) as kept:
        for of, table in tables.items():
            content = table_bytes(list(table), zip(*table.values(), strict=True))
            location.write_beside(f"{beside}.{of}.csv", content)
        remark(f"{counted(len(kept.layout.places), 'tile')}; {ahead(kept, alone=helping is None)}")
        with shown_progress(shown=not quiet) as watch:
            kept.complete(watch("kernel")("on disk"))
        kept.verify()
    return f"{len(x)} x {columns} kernel matrix: {location}"


def _draw(settings: KernelSettings, data: str) -> dict[str, Any]:
    """How images are drawn: as those of the run, but by the seed and as many as are asked for."""
    draw, of_run = draw_of(settings.run, data), {} if settings.run is None else settings_of(settings.run)
    seed = of_run.get("seed", 0)
    draw["seed"] = seed if settings.seed is None else settings.seed
    if data == settings.data and settings.n_train is not None:
        draw["n_train"] = settings.n_train
    return draw


def ahead(kept: StoredKernel, *, alone: bool) -> str:
    """What is missing of a matrix, in bytes and in the time that this process would take alone."""
    missing = kept.store.missing
    if not missing:
        return "all of them on disk"
    seconds = kept.recipe.seconds(missing)
    time = f"about {duration(seconds)}" if seconds > LONG_FIT_SECONDS else "less than a minute"
    shared = "" if alone else " without workers"
    return f"those that are missing take {size(kept.store.bytes_missing)} of disk, and {time}{shared} (estimated)"


def kernel_and_metric(settings: KernelSettings) -> tuple[LearnableKernel, Tensor | None, Preprocessing | None]:
    """What the options name, with the identity for a metric; or what a fitted run learned, and how its images were made.

    Raises:
        InputError: for a run of several layers, one on random features whose products are no kernel of two images here, and
            one of which nothing is known of how its images were made.
    """
    if settings.run is None:
        family = Family(settings.kernel, settings.patch_size, settings.bandwidth, settings.network, settings.pool_size)
        return family(settings.depth), None, None
    run, model = settings.run, load(settings.run, "cpu")
    if len(model.layers_) > 1:
        raise InputError(f"{run} has {len(model.layers_)} layers, and must have one. Pass another --run.")
    match model.fitted_.solver:
        case Features(draw=FeatureDraw(first_filters="patches")):
            raise InputError(
                f"{run} was fitted with --first-filters patches, whose features are the values of no kernel: it has "
                "no kernel matrix. Pass a --run with gaussian filters."
            )
        case Features(augment=(_, *_)):
            raise InputError(
                f"{run} was fitted on random features that are averaged over an image and its copies (--augment), and a kernel "
                "averaged so is not computed here. Pass a --run without copies, or of another --solver."
            )
    if model.augment:
        say_notes([f"The matrix is of images alone, without the copies (--augment) that {run} was fitted to besides."])
    if model.preprocessing_ is None:
        raise InputError(f"{run} does not know how its images were made. Pass a --run of convrfm fit.")
    (layer,) = model.layers_
    return layer.kernel, layer.kept.metric, model.preprocessing_


def name_table(names: Sequence[str], labels: Shaped[np.ndarray, " n"] | None) -> dict[str, Any]:
    """The name of every image, and its label where there is one, by the heads of their columns."""
    return {"name": names} if labels is None else {"name": names, "label": labels}
