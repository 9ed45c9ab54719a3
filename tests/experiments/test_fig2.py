"""A white G makes the two maps one; turning G keeps its spectrum; the verdict asks for more than it gives for free."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from convrfm.cnfa import measure
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
    spectra = (torch.linalg.eigvalsh(each.covariance.double()) for each in (layer, fig2.rotated(layer)))
    torch.testing.assert_close(*spectra)
    patches = torch.nn.functional.unfold(images, 3)
    input_map = patches.norm(dim=1)
    agop_map = torch.einsum("nds,de,nes->ns", patches, layer.agop.float(), patches).sqrt()
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(input_map, agop_map, strict=True)]
    np.testing.assert_allclose(fig2.alike(network, images, layer)["input"], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("free", "verdict"), [((0.1, 0.2), Verdict.HOLDS), ((0.1, 0.9), Verdict.IN_PART), ((0.9, 0.9), Verdict.FAILS)]
)
def test_the_claim_asks_for_more_than_the_algebra_gives(free: tuple[float, float], verdict: Verdict) -> None:
    agop, picture = [0.5, 0.51, 0.52], [kept(torch.rand(3, 4, 4))]
    layers = [{"layer": "any", "agop": agop, "turned": [each] * 3, "input": [0.2] * 3} for each in free]
    drawn = [[kept(torch.rand(4, 4))]] * 2
    line = {"network": "any", "layers": layers, "photographs": picture, "cnfm": drawn, "agop": drawn}
    assert fig2.conclude(RUN, [line]).verdict is verdict
