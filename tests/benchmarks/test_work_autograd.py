import torch
from torch.testing import assert_close

from benchmarks.cases import CASES
from benchmarks.inputs import inputs
from benchmarks.work_autograd import features_agop
from benchmarks.work_convrfm import drawn


def test_the_baseline_computes_the_same_agop() -> None:
    case = next(case for case in CASES if case.task == "features agop")
    given = inputs(case.settings("convrfm") | {"n": 8, "at": 5})
    features, filters, coef = drawn(given, n_features=200)
    ours, theirs = features.agop(given.at, coef), features_agop(filters, given.at, coef)
    assert_close(theirs, ours, rtol=1e-4, atol=1e-5 * float(ours.abs().max()))
    assert torch.linalg.matrix_rank(ours) > 1
