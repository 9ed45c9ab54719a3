"""The trends are differences within data sets, and every seed has images of its own."""

from pathlib import Path

import numpy as np
import pytest

from convrfm.datasets import load
from convrfm.experiments import fig9
from convrfm.experiments.experiment import Line, Run, Verdict
from convrfm.experiments.scale import Scale

SETTINGS = fig9.Fig9Settings(("a", "b", "c"), seeds=2)
RUN = Run(SETTINGS, Scale.LAPTOP, seed=0, device="auto", data=None, files=Path())


def lines(of_patch_size: float, of_max: float) -> list[Line]:
    """Cosines that fall by so much from q to q + 2 and rise by so much with max pooling, but for what differs by data set."""
    generator = np.random.default_rng(0)
    made: list[Line] = []
    for name in SETTINGS.data_sets:
        own = generator.normal(0.5, 0.2)
        for seed in range(SETTINGS.seeds):
            for pooling in fig9.POOLINGS:
                for q in SETTINGS.patch_sizes:
                    mean = own - of_patch_size * (q - 3) / 2 + of_max * (pooling == "max")
                    cosines = (mean + generator.normal(0, 0.002, 4)).tolist()
                    at = {"data_set": name, "seed": seed, "pooling": pooling, "patch_size": q}
                    made.append(at | {"trained": cosines, "initial": cosines, "test_accuracy": 0.5})
    return made


@pytest.mark.parametrize(
    ("of_patch_size", "of_max", "verdict", "said"),
    [
        (0.05, 0.1, Verdict.HOLDS, {"confirmed"}),
        (0.05, -0.1, Verdict.IN_PART, {"confirmed", "refuted"}),
        (-0.05, -0.1, Verdict.FAILS, {"refuted"}),
        (-0.05, 0.0, Verdict.UNDECIDED, {"refuted", "not decided"}),
    ],
)
def test_trends_are_found_however_data_sets_differ(
    of_patch_size: float, of_max: float, verdict: Verdict, said: set[str]
) -> None:
    found = fig9.conclude(RUN, lines(of_patch_size, of_max))
    assert found.verdict is verdict
    assert {row[2] for row in found.rows} == said
    differences = found.numbers["differences"]
    assert np.mean(differences["q = 3 less q = 7, max"]) == pytest.approx(2 * of_patch_size, abs=0.005)
    assert np.mean(differences["max less average"]) == pytest.approx(of_max, abs=0.005)


def test_seeds_share_no_image() -> None:
    data = load("noisy-digits", n_train=60, n_test=10, seed=0)
    parts = [fig9.own_images(data, number, 20).parts for number in range(3)]
    seen = [image.numpy().tobytes() for of_seed in parts for part in of_seed[:2] if part for image in part.x]
    assert len(seen) == len(set(seen)) == 60
