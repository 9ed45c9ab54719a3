"""An estimate counts every layer, every round and every fold."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch

from convrfm import ConvRFMClassifier, DeepConvRFMClassifier, kernels
from convrfm.estimators.forecast import Forecast, forecast
from convrfm.estimators.starts import NOTHING_DRAWN, FilterDraw
from convrfm.maths.windows import Window

from .cases import KERNEL, pictures

X = torch.tensor(pictures(40)[0])
DRAW = FilterDraw(5, "relu", ("mean", None), np.random.SeedSequence(0).spawn(3))


class Clock:
    """A kernel that moves a clock: for each pair and channel a second, ten with a metric, a hundred for a gradient.

    Each image on the left takes seven seconds more, and a thousand for each output of a gradient; on the right, fifty.
    """

    window = Window(3)
    now = 0.0

    def __call__(self, x: Any, z: Any = None, *, feature_matrix: Any = None, progress: Any = None) -> torch.Tensor:
        Clock.now += len(x) * len(z) * x.shape[1] * (1 if feature_matrix is None else 10) + 7 * len(x) + 50 * len(z)
        return x.new_ones(len(x), len(z))

    def diagonal(self, x: Any, *, feature_matrix: Any = None) -> torch.Tensor:
        raise NotImplementedError

    def agop(self, x: Any, z: Any, dual_coef: Any, **keywords: Any) -> torch.Tensor:
        Clock.now += 100 * len(x) * len(z) * x.shape[1] * dual_coef.shape[1]
        Clock.now += 1000 * len(x) * dual_coef.shape[1] + 50 * len(z)
        return x.new_ones(9, 9)

    def check_image_size(self, height: int, width: int) -> None: ...


@pytest.fixture(autouse=True)
def clocked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convrfm.estimators.forecast.time.perf_counter", lambda: Clock.now)


@pytest.mark.parametrize("n_iterations", [0, 2])
@pytest.mark.parametrize("n_folds", [0, 3])
def test_seconds_are_those_of_all_layers_rounds_and_folds(n_iterations: int, n_folds: int) -> None:
    settings: dict[str, Any] = {"outputs": 2, "n_iterations": n_iterations, "agop_images": 10, "n_folds": n_folds}
    seconds = 0.0
    for channels, fixed in ((1, 1), (5, 2), (5, 2)):  # two ways of centering
        seconds += (fixed + n_iterations) * (7 + 50) * 40 + fixed * channels * 40 * 40 / 2
        seconds += n_iterations * channels * (10 * 40 * 40 / 2 + 100 * 2 * 40 * 10)
        seconds += n_iterations * (1000 * 2 * 10 + 50 * 40)
    got = forecast([Clock(), Clock(), Clock()], DRAW, X, **settings)
    assert got.seconds == pytest.approx((1 + n_folds) * seconds, rel=1e-6)
    shallow = forecast([Clock()], NOTHING_DRAWN, X, **settings)
    assert got.bytes - shallow.bytes == (1 + n_folds) * 3 * 40 * 5 * 4 * 5 * 8


def test_durations_and_memory_are_readable() -> None:
    assert str(Forecast(3725.0, 3 * 2**30)) == "about 1 h 2 min and 3.0 GiB"
    assert str(Forecast(65.0, 2**20)) == "about 1 min 5 s and 1 MiB"


def test_an_announcement_counts_candidates_layers_and_folds(capfd: pytest.CaptureFixture[str]) -> None:
    x, y = pictures(12)
    ConvRFMClassifier([KERNEL, kernels.NNGP(kernels.vanilla(1))], n_iterations=1, verbose=True, cv=2).fit(x, y)
    assert "fitting 4 rounds, each in 2 folds as well, on 12 images: about" in capfd.readouterr().err
    DeepConvRFMClassifier(depth=2, n_filters=3, n_iterations=2, verbose=True).fit(x, y)
    assert "fitting 6 rounds on 12 images: about" in capfd.readouterr().err


def test_progress_says_which_kernel_layer_round_fold_and_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    labels: list[str] = []

    def shown(*, shown: bool) -> Any:
        return nullcontext(lambda label: lambda stage: labels.append(f"{label}, {stage}"))

    monkeypatch.setattr("convrfm.estimators.candidates.shown_progress", shown)
    x, y = pictures(12)
    DeepConvRFMClassifier([kernels.vanilla_ntk], depth=[1, 2], n_filters=3, n_iterations=1, cv=2).fit(x, y)
    assert labels[0] == "kernel 1/2, round 0/1, kernel"
    assert "kernel 2/2, layer 2/2, round 1/1, fold 2/2, AGOP" in labels
    labels.clear()
    ConvRFMClassifier(KERNEL, n_iterations=1).fit(x, y)
    assert labels == ["round 0/1, kernel", "round 1/1, AGOP", "round 1/1, kernel"]
