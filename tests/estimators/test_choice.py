"""Kernel, ridge and round are chosen by what was held out, and by nothing else."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.model_selection import GroupKFold, KFold, LeaveOneOut, ShuffleSplit, StratifiedKFold, TimeSeriesSplit

from convrfm import ConvRFMClassifier, ConvRFMRegressor, DeepConvRFMClassifier, kernels
from convrfm.errors import InputError
from convrfm.estimators.given.splitting import fold_indices
from convrfm.estimators.given.targets import Quality, quality
from convrfm.estimators.learning.rounds import best_round

from .cases import (
    KERNEL,
    RIDGES,
    Recorded,
    best,
    coefficients,
    drawn_filters,
    laplace_family,
    layer_images,
    merit,
    next_metric,
    one_hot,
    pictures,
    rows,
)

X, Y = pictures(18)
X_NEW, _ = pictures(7, 1)
GROUPS = np.array([0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5])
WEIGHTS = 0.5 + np.arange(18) % 3


def classifier(**settings: Any) -> ConvRFMClassifier:
    return ConvRFMClassifier(**({"kernel": KERNEL, "n_iterations": 2, "ridge": RIDGES} | settings))


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_leave_one_group_out_is_the_fit_without_each_group(weights: np.ndarray | None) -> None:
    model = ConvRFMRegressor(KERNEL, n_iterations=0, ridge=1e-2).fit(X, one_hot(Y), weights, groups=GROUPS)
    K = KERNEL(X)
    counted = np.ones(18) if weights is None else weights
    residuals = np.zeros((18, 3))
    for group in range(6):
        inside = group == GROUPS
        others = ~inside
        noise = np.diag(1e-2 / counted[others])
        mean = np.average(one_hot(Y)[others], axis=0, weights=counted[others])
        alpha = np.linalg.solve((K / K.max())[np.ix_(others, others)] + noise, one_hot(Y)[others] - mean)
        residuals[inside] = one_hot(Y)[inside] - mean - (K / K.max())[np.ix_(inside, others)] @ alpha
    expected = np.average((residuals**2).mean(1), weights=counted)
    assert model.history_[0]["loo_error"] == pytest.approx(expected)


def test_names_of_groups_do_not_matter() -> None:
    names = np.array(["f", "b", "c", "a", "e", "d"])[GROUPS]
    recorded = torch.tensor(GROUPS, dtype=torch.float64, requires_grad=True)
    for groups in (names, names.tolist(), torch.tensor(GROUPS * 7 - 3), recorded):
        a, b = classifier().fit(X, Y, groups=groups), classifier().fit(X, Y, groups=GROUPS)
        assert [r["loo_error"] for r in a.history_] == pytest.approx([r["loo_error"] for r in b.history_])


def test_the_best_of_several_kernels_by_leave_one_out_is_kept() -> None:
    candidates = [kernels.Laplace(patch_size=5, bandwidth=9.0), KERNEL, kernels.NNGP(kernels.vanilla(2))]
    model = classifier(kernel=candidates).fit(X, Y)
    alone = [classifier(kernel=kernel).fit(X, Y) for kernel in candidates]
    ranks = [max((r["loo_accuracy"], -r["loo_error"]) for r in each.history_) for each in alone]
    chosen = ranks.index(max(ranks))
    assert len(set(ranks)) == 3
    assert model.kernel_ == candidates[chosen]
    np.testing.assert_array_equal(model.decision_function(X_NEW), alone[chosen].decision_function(X_NEW))
    records = [
        {"candidate": number, "kernel": repr(kernel)} | record
        for number, (kernel, each) in enumerate(zip(candidates, alone, strict=True), 1)
        for record in each.history_
    ]
    for record, expected in zip(model.history_, records, strict=True):
        assert record | {"seconds": 0} == expected | {"seconds": 0}


def test_of_equal_kernels_the_first_is_kept() -> None:
    same = kernels.NTK(kernels.vanilla(1), memory_budget=2**20)
    assert classifier(kernel=(same, KERNEL)).fit(X, Y).kernel_ == same
    assert classifier(kernel=[KERNEL, same]).fit(X, Y).kernel_ == KERNEL


def test_the_best_of_several_depths_and_families_is_kept() -> None:
    settings: dict[str, Any] = {"n_filters": 5, "n_iterations": 1}
    families, depths = (kernels.vanilla_ntk, laplace_family), (1, 2)
    model = DeepConvRFMClassifier(families, depth=depths, **settings).fit(X, Y)
    alone = [DeepConvRFMClassifier(f, depth=d, **settings).fit(X, Y) for f in families for d in depths]
    number, chosen = best(
        [((r["loo_accuracy"], -r["loo_error"]), (i, m)) for i, m in enumerate(alone) for r in [kept_record(m)]]
    )[1]
    np.testing.assert_array_equal(model.decision_function(X_NEW), chosen.decision_function(X_NEW))
    assert model.kernels_ == chosen.kernels_
    assert [r["candidate"] for r in model.history_] == [1] * 2 + [2] * 4 + [3] * 2 + [4] * 4
    assert [r["layer"] for r in model.history_] == [1, 1, 1, 1, 2, 2] * 2
    mine = [record for record in model.history_ if record["candidate"] == number + 1]
    assert [r["loo_error"] for r in mine] == [r["loo_error"] for r in chosen.history_]


def kept_record(model: DeepConvRFMClassifier) -> dict[str, Any]:
    last = [record for record in model.history_ if record["layer"] == len(model.layers_)]
    return last[model.best_iterations_[-1]]


def cross_validated(
    x: np.ndarray, targets: np.ndarray, folds: list[np.ndarray], kernel: Any, n_iterations: int
) -> tuple[list[tuple[tuple[float, float], float, int]], list[list[Any]]]:
    """For every round its held-out merit, its ridge and its number, and for every fold the metrics that it learned.

    In every fold all is fitted without the images held out, and in every round one ridge is chosen for all.
    """
    metrics: list[list[Any]] = [[None] for _ in folds]
    rounds = []
    for iteration in range(n_iterations + 1):
        outputs = {ridge: np.zeros_like(targets) for ridge in RIDGES}
        coefs: list[dict[float, np.ndarray]] = [{} for _ in folds]
        for number, held_out in enumerate(folds):
            part = np.setdiff1d(np.arange(len(x)), held_out)
            M = metrics[number][-1]
            for ridge in RIDGES:
                coefs[number][ridge] = coefficients(kernel(x[part], feature_matrix=M), targets[part], ridge)
                meeting = kernel(x[held_out], x[part], feature_matrix=M)
                outputs[ridge][held_out] = meeting @ coefs[number][ridge]
        ridge = max(RIDGES, key=lambda r: (*merit(outputs[r], targets), r))
        rounds.append((merit(outputs[ridge], targets), ridge, iteration))
        for number, held_out in enumerate(folds):
            part = np.setdiff1d(np.arange(len(x)), held_out)
            M = metrics[number][-1]
            metrics[number].append(next_metric(kernel, x[part], x[part], coefs[number][ridge], M))
    return rounds, metrics


def test_cross_validation_learns_every_folds_metric_without_the_images_that_it_holds_out() -> None:
    folds = [held_out for _, held_out in KFold(3).split(X)]
    model = classifier(cv=KFold(3)).fit(X, Y)
    rounds, _ = cross_validated(X, one_hot(Y), folds, KERNEL, 2)
    for record, (held_out, ridge, iteration) in zip(model.history_, rounds, strict=True):
        assert (record["judge"], record["iteration"], record["ridge"]) == ("cv", iteration, ridge)
        assert (record["cv_accuracy"], record["cv_error"]) == pytest.approx((held_out[0], -held_out[1]), rel=1e-5)
    assert model.best_iteration_ == best(rounds)[2]
    M = None
    for iteration in range(model.best_iteration_):
        alpha = coefficients(KERNEL(X, feature_matrix=M), one_hot(Y), rounds[iteration][1])
        M = next_metric(KERNEL, X, X, alpha, M)
    np.testing.assert_allclose(model.feature_matrix_, np.eye(9) if M is None else M, rtol=1e-5, atol=1e-8)


def test_deep_cross_validation_draws_every_folds_filters_from_its_own_metric() -> None:
    cv = KFold(3)
    settings = {"depth": 2, "n_filters": 5, "centering": "mean", "n_iterations": 1, "ridge": RIDGES, "keep": "last"}
    model = DeepConvRFMClassifier(cv=cv, **settings).fit(X, Y)
    folds = [held_out for _, held_out in cv.split(X)]
    targets = one_hot(Y)
    _, metrics = cross_validated(X, targets, folds, kernels.vanilla_ntk(2), 1)
    outputs = {ridge: np.zeros_like(targets) for ridge in RIDGES}
    for number, held_out in enumerate(folds):
        part = np.setdiff1d(np.arange(18), held_out)
        filters = drawn_filters(metrics[number][1], 0, 0, 2, 5, "relu")
        features = layer_images(X, filters, "relu", 0, "mean", X[part])
        for ridge in RIDGES:
            alpha = coefficients(KERNEL(features[part]), targets[part], ridge)
            outputs[ridge][held_out] = KERNEL(features[held_out], features[part]) @ alpha
    ridge = max(RIDGES, key=lambda r: (*merit(outputs[r], targets), r))
    record = model.history_[2]
    assert (record["layer"], record["iteration"], record["ridge"]) == (2, 0, ridge)
    assert record["cv_error"] == pytest.approx(-merit(outputs[ridge], targets)[1], rel=1e-4)


def test_a_fold_never_meets_the_images_that_it_holds_out_but_to_predict_them() -> None:
    Recorded.met.clear()
    classifier(kernel=Recorded(KERNEL.architecture), cv=KFold(3)).fit(X, Y)
    parts = {frozenset(rows(X))} | {frozenset(rows(X[part])) for part, _ in KFold(3).split(X)}
    held = {frozenset(rows(X[held_out])) for _, held_out in KFold(3).split(X)}
    seen = [(stage, frozenset(rows(left)), frozenset(rows(right))) for stage, left, right in Recorded.met]
    assert {right for _, _, right in seen} == parts
    assert {left for stage, left, right in seen if stage == "AGOP" or left == right} == parts
    assert {left for _, left, right in seen if left != right} == held
    assert not any(left & right for _, left, right in seen if left != right)


def test_splitters_are_given_the_groups_and_a_number_of_folds_keeps_them_together() -> None:
    judged = classifier(cv=GroupKFold(3)).fit(X, Y, groups=GROUPS).history_
    by_hand = [(part, held_out) for part, held_out in GroupKFold(3).split(X, Y, GROUPS)]
    expected = classifier(cv=by_hand).fit(X, Y).history_
    assert [record["cv_error"] for record in judged] == [record["cv_error"] for record in expected]
    for classify in (True, False):
        for held_out in fold_indices(3, Y, GROUPS, classify=classify):
            assert not set(GROUPS[held_out]) & set(np.delete(GROUPS, held_out))


def test_a_number_of_folds_is_stratified_for_a_classifier() -> None:
    expected = [held_out for _, held_out in StratifiedKFold(3).split(Y, Y)]
    for got, wanted in zip(fold_indices(3, Y, None, classify=True), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    "cv",
    [
        ShuffleSplit(3, random_state=0),
        TimeSeriesSplit(3),
        [],
        [(np.arange(9), np.arange(9, 18))],
        [(np.arange(1, 9), np.arange(9, 18)), (np.arange(9, 18), np.arange(9))],
        [(np.arange(18), np.arange(0)), (np.arange(9), np.arange(9, 18)), (np.arange(9, 18), np.arange(9))],
    ],
    ids=["random", "time series", "none", "one half", "a gap", "an empty fold"],
)
def test_splitters_that_do_not_part_the_images_are_refused(cv: Any) -> None:
    with pytest.raises(InputError, match="cv must hold out"):
        classifier(cv=cv).fit(X, Y)


def test_leaving_one_out_by_cross_validation_of_the_fixed_kernel_is_the_closed_form() -> None:
    x = X / np.sqrt((X**2).sum((1, 2, 3), keepdims=True))
    kernel = kernels.Laplace(patch_size=3, bandwidth=2.0)  # its largest entry, the scale, is 1 in every fold
    by_folds = classifier(kernel=kernel, cv=LeaveOneOut(), n_iterations=0).fit(x, Y).history_[0]
    closed = classifier(kernel=kernel, n_iterations=0).fit(x, Y).history_[0]
    assert (by_folds["cv_accuracy"], by_folds["ridge"]) == (closed["loo_accuracy"], closed["ridge"])
    assert (by_folds["cv_error"], by_folds["temperature"]) == pytest.approx(
        (closed["loo_error"], closed["temperature"]), rel=1e-5
    )


def test_several_ridges_are_so_many_fits() -> None:
    together = classifier(n_iterations=0).fit(X, Y)
    alone = [classifier(n_iterations=0, ridge=ridge).fit(X, Y) for ridge in RIDGES]
    ranks = [(m.history_[0]["loo_accuracy"], -m.history_[0]["loo_error"], m.ridge_) for m in alone]
    chosen = alone[ranks.index(max(ranks))]
    assert together.ridge_ == chosen.ridge_
    np.testing.assert_allclose(together.dual_coef_, chosen.dual_coef_, rtol=1e-12)


def test_the_path_tells_what_every_ridge_would_have_been_judged() -> None:
    for settings in ({}, {"cv": 3}, {"choose_on": "selection"}):
        model = classifier(n_iterations=1, **settings)
        model.fit(X, Y, selection=pictures(9, 2) if "choose_on" in settings else None)
        for record in model.history_:
            judged = {at["ridge"]: (at["accuracy"], at["error"]) for at in record["path"]}
            assert list(judged) == list(RIDGES)
            own = tuple(record[f"{record['judge']}_{figure}"] for figure in ("accuracy", "error"))
            assert judged[record["ridge"]] == own
            assert own == max(judged.values(), key=lambda figures: (figures[0], -figures[1]))


@pytest.mark.filterwarnings("ignore:the kernel of every two images is 0")
def test_ties_go_to_the_larger_ridge_and_to_the_earlier_round() -> None:
    x = np.zeros((8, 1, 6, 6))
    for image, corner in zip(x, [(0, 0), (0, 5), (5, 0), (0, 0), (2, 2), (3, 2), (2, 3), (3, 3)], strict=True):
        image[0, *corner] = 1
    settings: dict[str, Any] = {"kernel": kernels.Laplace(patch_size=6, bandwidth=1e-3), "ridge": (1e-2, 1.0, 1e-1)}
    y = np.array([1.0, -1.0, 1.0, 1.0])
    far_apart = ConvRFMRegressor(**settings, n_iterations=0, choose_on="selection").fit(x[:4], y, selection=(x[4:], y))
    assert far_apart.ridge_ == 1.0  # images like none that is fitted are predicted by the mean with any ridge
    rounds = [
        replace(round_, path={round_.ridge: Quality(0.5, 0.25)}) for round_ in classifier().fit(X, Y).layers_[0].rounds
    ]
    assert best_round(rounds[::-1]).iteration == 0
    assert best_round([*rounds[:2], replace(rounds[2], path={rounds[2].ridge: Quality(0.5, 0.2)})]).iteration == 2


def test_equally_many_hits_are_equal_accuracies_whichever_images_are_hit() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = torch.eye(2, dtype=torch.float64)[torch.zeros(49, dtype=torch.long)]
    accuracies = set()
    for _ in range(50):
        wrong = torch.randperm(49, generator=generator)[:13]
        predictions = targets.clone()
        predictions[wrong] = predictions[wrong].flip(1)
        accuracies.add(quality(predictions, targets, None, classify=True).accuracy)
    assert accuracies == {36 / 49}


def test_quality_is_compared_by_accuracy_and_then_by_error() -> None:
    assert Quality(0.9, 5.0).rank > Quality(0.8, 0.1).rank
    assert Quality(0.9, 0.1).rank > Quality(0.9, 0.2).rank
    assert Quality(None, 0.1).rank > Quality(None, 0.2).rank


def test_a_selection_set_and_folds_are_not_mixed() -> None:
    with pytest.raises(InputError, match="not both"):
        classifier(cv=3, choose_on="selection").fit(X, Y, selection=pictures(9, 2))


def test_the_selection_set_judges_and_is_not_learned_from() -> None:
    first, second = (
        classifier(choose_on="selection", ridge=1e-2, keep="last").fit(X, Y, selection=pictures(9, seed))
        for seed in (2, 3)
    )
    np.testing.assert_array_equal(first.dual_coef_, second.dual_coef_)
    np.testing.assert_array_equal(first.feature_matrix_, second.feature_matrix_)
    assert first.history_[0]["selection_error"] != second.history_[0]["selection_error"]
    x_s, y_s = pictures(9, 2)
    outputs = next(first.staged_outputs(x_s))
    assert first.history_[0]["selection_error"] == pytest.approx(((outputs - one_hot(y_s)) ** 2).mean())
