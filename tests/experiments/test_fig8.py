"""The verdict asks every convolution, accuracies are honest ones, and batch norms see images before weights move."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import nn

from convrfm.experiments import fig8
from convrfm.experiments.experiment import Line, Run, Verdict
from convrfm.experiments.scale import Scale
from convrfm.experiments.training_images import Draw, real_images
from convrfm.networks import Design
from tests.experiments.layers import layer_with

TASK = fig8.Task("USPS", 16, 2, (1,))
RUN = Run(fig8.Fig8Settings((TASK,)), Scale.LAPTOP, seed=0, device="auto", data=None, files=Path())


def line(pearson: float, fresh: float, fresh_cnfm: float) -> Line:
    """Two layers; the epoch that is kept is not the best on test images."""
    layers = [
        asdict(layer_with(pearson=pearson, fresh=fresh, fresh_cnfm=moved)) for moved in (fresh_cnfm, fresh_cnfm - 0.8)
    ]
    epochs = [{"held_out_accuracy": held_out, "test_accuracy": test} for held_out, test in ((0.8, 0.6), (0.7, 0.9))]
    track = [{"epoch": 0, "pearson": [fresh, fresh]}, {"epoch": 2, "pearson": [pearson, None]}]
    sizes = {"n_train": 90, "n_test": 100, "best_test_accuracy": 0.9}
    return {"data_set": "USPS", "width": 16, "epochs": epochs, "kept": 1, "track": track, "layers": layers} | sizes


@pytest.mark.parametrize(
    ("values", "verdict"),
    [((0.9, 0.3, 0.2), Verdict.HOLDS), ((0.9, 0.3, 0.95), Verdict.IN_PART), ((-0.9, 0.3, 0.2), Verdict.FAILS)],
)
def test_every_convolution_is_asked(values: tuple[float, float, float], verdict: Verdict) -> None:
    found = fig8.conclude(RUN, [line(*values)])
    assert found.verdict is verdict
    assert str(found.rows[0][4]).startswith("60.0 (")
    assert found.rows[0][5] == "90.0"
    assert "first width 16 for 64" in found.ours


def test_before_training_only_the_statistics_of_batch_norms_change() -> None:
    images = real_images("noisy-digits", None, Draw(40, 10, None), seed=0)
    network = Design("simplenet", width=4).build(images.image_shape, images.n_classes, seed=0)
    before, state = {name: p.clone() for name, p in network.named_parameters()}, torch.get_rng_state()
    fig8.settle(network, images)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(p, before[name]) for name, p in network.named_parameters())
    first = next(module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    entering = network[0](images.parts.train.x)
    torch.testing.assert_close(first.running_mean, entering.mean((0, 2, 3)), rtol=1e-3, atol=1e-9)
