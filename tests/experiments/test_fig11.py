"""Directions are those of the gradient, and the verdict asks only eigenvectors that have one."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from convrfm.experiments import fig11
from convrfm.experiments.experiment import Run, Verdict
from convrfm.experiments.kept_pictures import kept
from convrfm.experiments.scale import Scale
from convrfm.maths.edges import window_gradient

RUN = Run(fig11.DirectionSettings(), Scale.SMOKE, seed=0, device="auto", data=None, files=Path())


@pytest.mark.parametrize("degrees", [0, 30, 90, 135])
def test_a_ramp_changes_along_its_direction_and_not_across(degrees: int) -> None:
    angle = math.radians(degrees)
    ramp = math.cos(angle) * torch.arange(8.0) + math.sin(angle) * torch.arange(6.0)[:, None]
    along, across = fig11.oriented_gradients(window_gradient(ramp.expand(2, 6, 8), 3), torch.tensor([angle]))
    assert along.shape == (1, 2, 4, 6)
    torch.testing.assert_close(along, torch.ones_like(along))
    torch.testing.assert_close(across, torch.zeros_like(across), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("explained", "across", "verdict"),
    [
        ((0.9, 0.1), (0.1, 0.9), Verdict.HOLDS),
        ((0.9, 0.8), (0.1, 0.9), Verdict.IN_PART),
        ((0.2, 0.8), (0.1, 0.9), Verdict.FAILS),
        ((0.2, 0.1), (0.1, 0.1), Verdict.UNTESTED),
    ],
)
def test_only_oriented_eigenvectors_are_asked(
    explained: tuple[float, float], across: tuple[float, float], verdict: Verdict
) -> None:
    noise = np.array([0.0, 0.01, -0.01])
    line = {
        "data_set": "any",
        "kernel": "any",
        "of_trace": [0.5, 0.3],
        "explained": list(explained),
        "degrees": [0.0, 90.0],
        "along": [(0.5 + noise).tolist()] * 2,
        "across": [(value - noise).tolist() for value in across],
        "photographs": [kept(torch.rand(3, 4, 4))],
        "maps": [[kept(torch.rand(4, 4))]] * 2,
    }
    assert fig11.conclude(RUN, [line]).verdict is verdict
