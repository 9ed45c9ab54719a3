"""One step from W = 0: the ansatz holds exactly where the theorem says, and fails where its assumption does."""

from pathlib import Path

import pytest
import torch

from convrfm.experiments import theorem1
from convrfm.experiments.experiment import Run, Verdict
from convrfm.experiments.scale import Scale

SETTINGS = theorem1.Theorem1Settings(n=20, width=8)
RUN = Run(SETTINGS, Scale.SMOKE, seed=0, device="auto", data=None, files=Path())
LINES = [{**step.at, **step.compute()} for step in theorem1.plan(RUN)]


def test_cosine_is_one_where_derivatives_at_patches_share_a_direction() -> None:
    for line in LINES:
        if line["later"] != "random":
            assert line["cosine"] == pytest.approx(1, abs=1e-12), line


def test_cosine_is_below_one_where_they_do_not() -> None:
    random = [line["cosine"] for line in LINES if line["later"] == "random"]
    assert len(random) == 6
    assert max(random) < 0.995


def test_the_verdict_is_on_equal_derivatives_alone() -> None:
    """The theorem says nothing of derivatives that differ in size alone, whatever their cosines are."""
    lines = [line | ({"cosine": 0.5} if line["later"] == "proportional" else {}) for line in LINES]
    found = theorem1.conclude(RUN, lines)
    assert found.verdict is Verdict.HOLDS
    assert "6 of 6 cosines are 1 to 1e-12, and with derivatives that differ in size alone 0 of 6" in found.ours


def test_the_step_is_that_of_the_proof() -> None:
    """W1 = rate * (2 / n) * sum over images and patches of G y v^T, with G the derivative at zero."""
    generator = torch.Generator().manual_seed(0)
    images, targets = theorem1.images_and_targets("random", 5, generator)
    network = theorem1.TanhNetwork(1, images.shape[1:], 4, "constant", generator)
    gain = network.readout.weight[0, 0]
    theorem1.one_step(network, images, targets, rate=0.3)
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1), mode="circular")
    patches = torch.nn.functional.unfold(padded, 3).sum(2)
    expected = 0.3 * 2 / 5 * gain * (targets * patches).sum(0)
    torch.testing.assert_close(network.first.weight.flatten(1), expected.expand(4, -1))
