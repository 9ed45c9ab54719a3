"""Maps are compared at patches of the same middle, and nothing of a flat photograph is left without its patches' means."""

from pathlib import Path

import pytest
import torch

from convrfm.experiments import fig12
from convrfm.experiments.experiment import Run, Verdict
from convrfm.experiments.kept_pictures import kept
from convrfm.experiments.scale import Scale
from convrfm.maths.windows import Window

RUN = Run(fig12.OperatorsSettings(), Scale.SMOKE, seed=0, device="auto", data=None, files=Path())


def test_maps_of_two_patch_sizes_meet_at_the_middles_of_patches() -> None:
    """The identity on a lone bright pixel: both maps have their largest square around it at the same place."""
    image = torch.zeros(1, 1, 15, 15)
    image[0, 0, 7, 5] = 1
    middle_of_three = torch.zeros(9, 9)
    middle_of_three[4, 4] = 1
    middle_of_seven = torch.zeros(49, 49)
    middle_of_seven[24, 24] = 1
    small, large = (
        fig12.two_maps(image, matrix, Window(size))[0] for size, matrix in ((3, middle_of_three), (7, middle_of_seven))
    )
    first, second = fig12.met(small, large)
    assert first.shape == second.shape == (1, 9, 9)
    torch.testing.assert_close(first, second)
    assert float(first[0, 4, 2]) == 1


def test_nothing_of_flat_patches_is_left_without_their_means() -> None:
    plain, without = fig12.two_maps(torch.full((1, 3, 6, 6), 0.5), torch.eye(27), Window(3))
    assert float(plain.min()) == pytest.approx(0.5 * 27**0.5)
    assert float(without.max()) < 1e-5


@pytest.mark.parametrize(
    ("plain", "verdict"), [((0.1, 0.2), Verdict.HOLDS), ((0.1, 0.9), Verdict.IN_PART), ((0.9, 0.9), Verdict.FAILS)]
)
def test_the_claim_asks_for_more_than_plain_patches(plain: tuple[float, float], verdict: Verdict) -> None:
    learned = [[0.5, 0.51, 0.52]] * 2
    drawn = [kept(torch.rand(4, 4))]
    found = {"learned": learned, "plain": [[each] * 3 for each in plain], "maps": drawn}
    line = {"data_set": "any", "kernel": "NTK, q = 3", "of_trace": [0.5], "maps": drawn, "networks": {"any": found}}
    line |= {"eigenvectors": torch.rand(1, 1, 3, 3).tolist(), "photographs": [kept(torch.rand(3, 4, 4))]}
    assert fig12.conclude(RUN, [line]).verdict is verdict
