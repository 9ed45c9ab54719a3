"""Maps of every layer against plain loops, and a verdict that asks for what learning adds."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from convrfm import DeepConvRFMClassifier
from convrfm.experiments import fig4
from convrfm.experiments.experiment import Run, Verdict
from convrfm.experiments.kept_pictures import kept
from convrfm.experiments.scale import Scale

RUN = Run(fig4.LayerSettings(("any",), seeds=3), Scale.SMOKE, seed=0, device="auto", data=None, files=Path())


def test_maps_of_a_network_are_of_what_training_added_to_each_convolution() -> None:
    torch.manual_seed(0)
    initial, network = (
        nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.ReLU(), nn.Conv2d(4, 2, 3, bias=False)) for _ in "ab"
    )
    x = torch.randn(2, 1, 7, 8)
    first, second = fig4.maps_of_network(initial, network, x)
    assert first.shape == (2, 5, 6)
    with torch.no_grad():
        hidden = network[:2](x)
        change = (network[2].weight - initial[2].weight).reshape(2, 36)
        patch = hidden[1, :, 2:5, 3:6].flatten()
        assert float(second[1, 2, 3]) == pytest.approx(float((change.T @ (change @ patch)).norm()), rel=1e-4)


def test_maps_of_a_model_are_its_own_where_its_metric_is_the_identity() -> None:
    """Before learning |h[u]| is what the model's feature maps show at round 0."""
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((12, 1, 8, 8), dtype=np.float32), np.arange(12) % 2
    model = DeepConvRFMClassifier(depth=2, n_filters=3, n_iterations=0, centering=None).fit(x, y)
    before, learned = (f(model, torch.from_numpy(x)) for f in (fig4.maps_before_learning, fig4.maps_of_model))
    for layer, (plain, same) in enumerate(zip(before, learned, strict=True), 1):
        torch.testing.assert_close(plain, same, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(plain, model.feature_maps(x, layer=layer), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("before", "verdict"),
    [((0.1, 0.2), Verdict.HOLDS), ((0.1, 0.9), Verdict.IN_PART), ((0.9, 0.9), Verdict.FAILS)],
)
def test_the_claim_asks_every_layer_for_more_than_before_learning(
    before: tuple[float, float], verdict: Verdict
) -> None:
    drawn = [[kept(torch.rand(4, 4))]] * 2
    lines = [
        {"data_set": "any", "seed": seed, "alike": [0.5 + 0.01 * seed] * 2, "before learning": before}
        | {"images": drawn[0], "ConvRFM": drawn, "CNN": drawn}
        for seed in range(3)
    ]
    assert fig4.conclude(RUN, lines).verdict is verdict
