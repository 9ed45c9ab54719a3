"""The number of epochs is chosen on held-out training images, and all of them train for as many."""

import numpy as np
import pytest
import torch

from convrfm.experiments import corresponding_cnn
from convrfm.experiments.small_data.images import LabeledImages
from convrfm.networks import Epoch, Trained, TrainingParts

GENERATOR = np.random.default_rng(0)
IMAGES = LabeledImages(GENERATOR.standard_normal((20, 1, 7, 7), dtype=np.float32), np.arange(20) % 2)


def test_training_goes_on_for_the_epochs_that_held_out_images_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, seen = corresponding_cnn.train, []

    def watched(network: torch.nn.Module, parts: TrainingParts, *arguments: object, **named: object) -> Trained:
        seen.append((parts, plain(network, parts, *arguments, **named)))
        return seen[-1][1]

    monkeypatch.setattr(corresponding_cnn, "train", watched)
    network = corresponding_cnn.trained_in_time(IMAGES, 2, 0, epochs=4, device="cpu")
    (tried, choice), (whole, last) = seen
    assert tried.held_out is not None
    assert len(tried.train.y) == 16
    images = torch.cat([tried.train.x, tried.held_out.x]).flatten(1)
    torch.testing.assert_close(images.sort(0).values, torch.from_numpy(IMAGES.x).flatten(1).sort(0).values)
    assert len(whole.train.y) == 20
    assert whole.held_out is None
    assert len(last.epochs) == choice.kept.epoch
    best = max(choice.epochs, key=lambda epoch: (epoch.held_out_accuracy, -(epoch.held_out_loss or 0)))
    assert isinstance(best, Epoch)
    assert choice.kept == best
    again = corresponding_cnn.trained(IMAGES, 2, 0, choice.kept.epoch, device="cpu")
    for mine, other in zip(network.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=0)
