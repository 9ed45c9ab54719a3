"""(f) SimpleNet at the paper's size (Fig. 8): as many epochs as fit, and the ansatz in its convolutions."""

import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from statistics import median

import numpy as np
import torch

from convrfm.cnfa import measure
from convrfm.experiments.fig8 import PUBLISHED, settle
from convrfm.experiments.layer_lines import layer_lines
from convrfm.experiments.small_data.images import read_atlases
from convrfm.experiments.training_images import RealImages
from convrfm.networks import Design, Labeled, TrainingParts, TrainingProtocol, paper_scaling, train

from .session import Line, Session

CLASSES = 10
MEASURED = 64  # images
FOR_TRAINING = 0.8  # of the time that is left after an epoch; the meter has the rest


def networks(session: Session) -> Iterator[Line]:
    """An epoch for its time, then a whole training with the published schedule shrunk to what fits."""
    scaling = paper_scaling(3)
    name, drawn = _images(session)
    parts = TrainingParts(*(Labeled.of(x, y, scaling) for x, y in drawn))
    design = Design("simplenet", width=2 if session.tiny else None)
    network = design.build(parts.train.x.shape[1:], CLASSES, seed=0)
    settle(network, RealImages(parts, CLASSES, scaling))
    network.to(session.device)
    initial = {key: value.clone() for key, value in network.state_dict().items()}
    session.memory  # noqa: B018
    seconds = _trained(deepcopy(network), parts, epochs=1)["seconds"]
    yield {
        "name": f"SimpleNet, one epoch of {len(parts.train.y)} images of {name}",
        "seconds": seconds,
        "memory_gb": session.memory / 1e9,
    }
    left = session.deadline - time.monotonic()
    epochs = 2 if session.tiny else max(1, min(PUBLISHED.epochs, int(FOR_TRAINING * left / seconds)))
    yield {"name": f"SimpleNet, {epochs} epochs of {name}", **_trained(network, parts, epochs)}
    shown = parts.train.x[: 8 if session.tiny else MEASURED].to(session.device)
    report = measure(network, shown, initial=initial, generator=torch.Generator().manual_seed(0))
    layers = layer_lines(report)
    told = {"cnfm_and_agop": "pearson", "rotated": "rotated", "initial_network": "fresh", "initial_cnfm": "fresh_cnfm"}
    yield {
        "name": f"medians over {len(layers)} convolutions",
        **{ours: median(layer[theirs] for layer in layers) for ours, theirs in told.items()},
    }


def _trained(network: torch.nn.Module, parts: TrainingParts, epochs: int) -> Line:
    """Train as published, in so many epochs; the weights that are kept are the best on held-out images."""
    found = train(network, parts, shrunk(epochs), seed=0, deterministic=False)
    kept = found.kept
    return {
        "seconds": sum(epoch.seconds for epoch in found.epochs),
        "train_loss": kept.train_loss,
        "held_out_accuracy": kept.held_out_accuracy,
        "test_accuracy": kept.test_accuracy,
    }


def shrunk(epochs: int) -> TrainingProtocol:
    """The published protocol with its milestones at the same shares of fewer epochs."""
    milestones = tuple(milestone * epochs // PUBLISHED.epochs for milestone in PUBLISHED.milestones)
    return replace(PUBLISHED, epochs=epochs, milestones=milestones)


def _images(session: Session) -> tuple[str, list[tuple[np.ndarray, np.ndarray]]]:
    """To train, to stop and to test on: those that are at hand of CIFAR-10, otherwise random ones; and what they are."""
    folder = None if session.data is None else session.data / "cifar10"
    if folder is not None and folder.exists():
        name, read = "CIFAR-10", [read_atlases(folder, part) for part in ("train", "test")]
    else:
        name, read = "random pixels", [_random(session, n, seed) for seed, n in enumerate((10_000, 1000))]
    most = (40, 10) if session.tiny else (None, None)
    (x, y), (x_test, y_test) = (
        (x[:n].astype(np.float32) / 255, labels[: len(x)][:n].astype(np.int64))
        for (x, labels), n in zip(read, most, strict=True)
    )
    n = len(x) // 10
    return name, [(x[n:], y[n:]), (x[:n], y[:n]), (x_test, y_test)]


def _random(session: Session, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator, side = np.random.default_rng(seed), 16 if session.tiny else 32
    return generator.integers(256, size=(n, 3, side, side), dtype=np.uint8), generator.integers(CLASSES, size=n)
