"""Errors are measured against exact kernels, and exponents are those of the errors."""

from pathlib import Path

import numpy as np
import pytest

from convrfm.experiments import random_features
from convrfm.experiments.experiment import Run, Verdict
from convrfm.experiments.scale import Scale
from convrfm.kernels.features import FeatureDraw

SETTINGS = random_features.RandomFeaturesSettings(n=6, n_features=(8, 32), draws=2)
RUN = Run(SETTINGS, Scale.SMOKE, seed=0, device="auto", data=None, files=Path())


def test_more_features_are_nearer_to_the_kernel() -> None:
    for kernel in random_features.KERNELS.values():
        few, many = (random_features.errors(kernel(), 6, FeatureDraw(n, 0)) for n in (4, 256))
        assert 0 < many["values"] < 0.5 * few["values"]
        assert 0 < many["agop"] < few["agop"]


@pytest.mark.parametrize(("power", "verdict"), [(-0.5, Verdict.HOLDS), (-0.3, Verdict.FAILS)])
def test_the_exponent_is_that_of_the_errors(power: float, verdict: Verdict) -> None:
    lines = []
    for step in random_features.plan(RUN):
        error = float(step.at["n_features"] ** power)
        lines.append({**step.at, "values": error, "agop": error})
    found = random_features.conclude(RUN, lines)
    assert found.verdict is verdict
    np.testing.assert_allclose(list(found.numbers["exponents"].values()), power)
