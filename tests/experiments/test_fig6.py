"""The verdict of Fig. 6 asks where a CNN learns, and whether depth gains on local signals alone."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from convrfm.experiments import fig6
from convrfm.experiments.experiment import Run, Verdict
from convrfm.experiments.scale import Scale

SETTINGS = fig6.Fig6Settings(("noisy-digits", "USPS"), seeds=3, depth=2)
Stages = tuple[float, ...]
RUN = Run(SETTINGS, Scale.SMOKE, seed=0, device="auto", data=None, files=Path())


@pytest.mark.parametrize(
    ("digits", "usps", "cnn", "verdict"),
    [
        ((0.5, 0.6, 0.7), (0.5, 0.6, 0.55), 0.9, Verdict.HOLDS),
        ((0.5, 0.6, 0.6), (0.5, 0.6, 0.7), 0.9, Verdict.IN_PART),
        ((0.5, 0.6, 0.7), (0.5, 0.4, 0.7), 0.9, Verdict.IN_PART),
        ((0.5, 0.4, 0.3), (0.5, 0.6, 0.4), 0.9, Verdict.FAILS),
        ((0.5, 0.4, 0.45), (0.5, 0.1, 0.1), 0.2, Verdict.HOLDS),
    ],
)
def test_the_claim_asks_for_learning_where_the_cnn_learns_and_for_depth_on_local_signals(
    digits: Stages, usps: Stages, cnn: float, verdict: Verdict
) -> None:
    assert verdict_of([digits] * 3, [usps] * 3, cnn) is verdict


def test_a_gain_of_depth_whose_interval_holds_zero_refutes_nothing() -> None:
    draws = [(0.5, 0.6, 0.6 + gain) for gain in (0.007, -0.001, 0.004)]
    assert verdict_of(draws, draws, cnn=0.2) is Verdict.UNDECIDED


def verdict_of(digits: Sequence[Stages], usps: Sequence[Stages], cnn: float) -> Verdict:
    """From accuracies by the number of layers that learn, draw by draw, and that of the CNN."""
    lines: list[dict[str, object]] = []
    for name, draws in (("noisy-digits", digits), ("USPS", usps)):
        for seed, stages in enumerate(draws):
            at = {"data_set": name, "seed": seed}
            scores = {"NTK": stages[0], "ConvRFM": stages[1], "Deep ConvRFM": stages[-1], "stages": stages}
            lines += [at | scores, at | {"CNN": cnn}]
    return fig6.conclude(RUN, lines).verdict
