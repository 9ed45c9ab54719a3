"""A white G makes the two maps one; turning G keeps its spectrum; the verdict asks for more than it gives for free."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from convrfm.cnfa import feature_maps, measure
from convrfm.experiments import fig2
from convrfm.experiments.experiment import Run, Verdict
from convrfm.experiments.kept_pictures import kept
from convrfm.experiments.scale import Scale

RUN = Run(fig2.FeatureSettings(), Scale.SMOKE, seed=0, device="auto", data=None, files=Path())


def test_maps_are_one_where_gradients_are_white_and_turning_keeps_the_spectrum() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 2)).eval()
    images = torch.randn(3, 3, 10, 10)
    layer = measure(network, images, layers="0", rotations=0, resamples=0).layers[0]
    white = replace(layer, covariance=torch.eye(4).unsqueeze(0))
    np.testing.assert_allclose(fig2.alike(network, images, white)["agop"], 1, atol=1e-5)
    spectra = (torch.linalg.eigvalsh(each.covariance.double()) for each in (layer, fig2.rotated(layer, 0)))
    torch.testing.assert_close(*spectra)
    patches = torch.nn.functional.unfold(images, 3)
    input_map = patches.norm(dim=1)
    agop_map = torch.einsum("nds,de,nes->ns", patches, layer.agop.float(), patches).sqrt()
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(input_map, agop_map, strict=True)]
    np.testing.assert_allclose(fig2.alike(network, images, layer)["input"], expected, atol=1e-4)


def test_every_group_and_every_turn_has_a_rotation_of_its_own_and_the_control_is_their_mean() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 12, 3, groups=3), nn.Flatten(), nn.Linear(12 * 16, 2)).eval()
    images = torch.randn(2, 3, 6, 6)
    layer = measure(network, images, layers="0", rotations=0, resamples=0).layers[0]
    one = replace(layer, covariance=layer.covariance[:1].expand(3, -1, -1))
    drawn = [each for turn in range(3) for each in fig2.rotated(one, turn).covariance]
    apart = torch.pdist(torch.stack(drawn).flatten(1))
    assert float(apart.min()) > 0.1 * float(drawn[0].norm())
    cnfm = feature_maps(network, images, layer, "cnfm")
    by_turn = [
        [
            np.corrcoef(a.flatten(), b.flatten())[0, 1]
            for a, b in zip(cnfm, feature_maps(network, images, fig2.rotated(layer, turn), "agop"), strict=True)
        ]
        for turn in range(fig2.TURNS)
    ]
    np.testing.assert_allclose(fig2.alike(network, images, layer)["turned"], np.mean(by_turn, 0), atol=1e-6)


@pytest.mark.parametrize(
    ("free", "verdict"), [((0.1, 0.2), Verdict.HOLDS), ((0.1, 0.9), Verdict.IN_PART), ((0.9, 0.9), Verdict.FAILS)]
)
def test_the_claim_asks_for_more_than_the_algebra_gives(free: tuple[float, float], verdict: Verdict) -> None:
    agop, picture = [0.5, 0.51, 0.52], [kept(torch.rand(3, 4, 4))]
    layers = [{"layer": "any", "agop": agop, "turned": [each] * 3, "input": [0.2] * 3} for each in free]
    drawn = [[kept(torch.rand(4, 4))]] * 2
    line = {"network": "any", "layers": layers, "photographs": picture, "cnfm": drawn, "agop": drawn}
    assert fig2.conclude(RUN, [line]).verdict is verdict
