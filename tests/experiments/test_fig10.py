"""The CNN's matrix is what training added to its filters; the verdict asks for both controls."""

from pathlib import Path

import numpy as np
import pytest
import torch

from convrfm.experiments import fig10
from convrfm.experiments.experiment import Run, Verdict
from convrfm.experiments.kept_pictures import kept
from convrfm.experiments.scale import Scale
from convrfm.experiments.small_data.images import LabeledImages
from convrfm.networks import Design

RUN = Run(fig10.OperatorSettings(("bars",), seeds=3), Scale.SMOKE, seed=0, device="auto", data=None, files=Path())


def test_initial_filters_are_those_before_training_and_trained_ones_have_moved() -> None:
    generator = np.random.default_rng(0)
    train = LabeledImages(generator.standard_normal((8, 1, 9, 9), dtype=np.float32), np.arange(8) % 2)
    initial, trained = fig10.first_filters(train, 3, epochs=1, device="cpu")
    fresh = Design("vanilla", depth=fig10.DEPTH).build((1, 9, 9), 2, 3)
    torch.testing.assert_close(initial, next(fresh.parameters()).detach().flatten(1).double(), rtol=0, atol=0)
    moved = (trained - initial).abs()
    assert 0 < float(moved.max()) < 1.1e-4  # one step of Adam


@pytest.mark.parametrize("name", ["bars", "CIFAR-10"])
def test_toy_tasks_are_drawn_with_roots_and_real_images_with_the_change(name: str) -> None:
    factors = torch.randn(3, 12, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    metric, change, after = factors.mT @ factors
    drawn = fig10.as_drawn(name, metric, change, after)
    if name == "bars":
        torch.testing.assert_close(drawn["ConvRFM"] @ drawn["ConvRFM"], metric)
        torch.testing.assert_close(drawn["CNN"] @ drawn["CNN"], after)
    else:
        assert drawn["ConvRFM"] is metric
        assert drawn["CNN"] is change


@pytest.mark.parametrize(
    ("turned", "patches", "verdict"),
    [(0.2, 0.3, Verdict.HOLDS), (0.2, 0.9, Verdict.IN_PART), (0.9, 0.9, Verdict.FAILS)],
)
def test_the_claim_asks_for_more_than_random_directions_and_more_than_patches(
    turned: float, patches: float, verdict: Verdict
) -> None:
    map_of_ones = kept(torch.ones(4, 4))
    told = {"with W^T W": 0.5, "with W0^T W0": 0.1, "maps alike before learning": 0.3}
    lines = [
        {"data_set": "bars", "seed": seed, "with D^T D": 0.5 + 0.01 * seed, "maps alike": 0.4 + 0.01 * seed}
        | {**told, "D^T D turned": turned, "D^T D with patches": patches}
        | {"images": [map_of_ones], "maps": {"ConvRFM": [map_of_ones], "CNN": [map_of_ones]}}
        for seed in range(3)
    ]
    assert fig10.conclude(RUN, lines).verdict is verdict
