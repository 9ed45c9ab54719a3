"""The CNN that corresponds to a kernel: as many convolutions of 64 channels, trained by the paper's Adam (Appendix B)."""

from dataclasses import replace

import numpy as np
from torch import nn

from ..datasets.sampling import hold_out_fifth
from ..kernels.devices import chosen_device
from ..networks import PROTOCOLS, Design, Labeled, TrainingParts, train
from .small_data.images import LabeledImages

ADAM = PROTOCOLS["adam"]
PATIENCE = 10  # epochs


def untrained(images: LabeledImages, depth: int, seed: int) -> nn.Module:
    """The network for these images as it is drawn with the seed."""
    return Design("vanilla", depth=depth).build(images.x.shape[1:], int(images.y.max()) + 1, seed)


def trained(images: LabeledImages, depth: int, seed: int, epochs: int, device: str) -> nn.Module:
    """The same after so many epochs on all of the images, on that device."""
    network = untrained(images, depth, seed).to(chosen_device(device))
    train(network, TrainingParts(labeled(images)), replace(ADAM, epochs=epochs), seed=seed)
    return network


def trained_in_time(images: LabeledImages, depth: int, seed: int, epochs: int, device: str) -> nn.Module:
    """Trained on all of the images for as many epochs as serve a network best that a fifth of them is held out from.

    At most so many, and the search ends where ten in a row were not better.
    """
    kept, held_out = hold_out_fifth(images.y, np.random.default_rng([seed, 2]))
    parts = TrainingParts(labeled(images.take(kept)), labeled(images.take(held_out)))
    protocol = replace(ADAM, epochs=epochs, patience=PATIENCE)
    tried = train(untrained(images, depth, seed).to(chosen_device(device)), parts, protocol, seed=seed)
    return trained(images, depth, seed, tried.kept.epoch, device)


def labeled(images: LabeledImages) -> Labeled:
    """As training takes them."""
    return Labeled.of(images.x, images.y)
