"""The verdict of Fig. 6 asks where a CNN learns, and whether depth gains on local signals alone."""

from pathlib import Path

import pytest

from convrfm.experiments import fig6
from convrfm.experiments.experiment import Run, Verdict
from convrfm.experiments.scale import Scale

SETTINGS = fig6.Fig6Settings(("noisy-digits", "USPS"), seeds=3, depth=2)
RUN = Run(SETTINGS, Scale.SMOKE, seed=0, device="auto", data=None, files=Path())


@pytest.mark.parametrize(
    ("digits", "usps", "cnn", "verdict"),
    [
        ((0.5, 0.6, 0.7), (0.5, 0.6, 0.55), 0.9, Verdict.HOLDS),
        ((0.5, 0.6, 0.6), (0.5, 0.6, 0.7), 0.9, Verdict.IN_PART),
        ((0.5, 0.6, 0.7), (0.5, 0.4, 0.7), 0.9, Verdict.IN_PART),
        ((0.5, 0.4, 0.4), (0.5, 0.6, 0.4), 0.9, Verdict.FAILS),
        ((0.5, 0.4, 0.45), (0.5, 0.1, 0.1), 0.2, Verdict.HOLDS),
    ],
)
def test_the_claim_asks_for_learning_where_the_cnn_learns_and_for_depth_on_local_signals(
    digits: tuple[float, ...], usps: tuple[float, ...], cnn: float, verdict: Verdict
) -> None:
    lines: list[dict[str, object]] = []
    for name, stages in (("noisy-digits", digits), ("USPS", usps)):
        for seed in range(3):
            at = {"data_set": name, "seed": seed}
            scores = {"NTK": stages[0], "ConvRFM": stages[1], "Deep ConvRFM": stages[-1], "stages": stages}
            lines += [at | scores, at | {"CNN": cnn}]
    assert fig6.conclude(RUN, lines).verdict is verdict
