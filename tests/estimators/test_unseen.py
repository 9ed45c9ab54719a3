"""What is fitted depends on nothing that `fit` was not given."""

import hashlib
import pickle
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from convrfm import ConvRFMClassifier, DeepConvRFMClassifier
from convrfm.maths.random_filters import CENTERINGS

from .cases import CHEAP, KERNEL, Recorded, layer_images, pictures, rows

X, Y = pictures(16)
X_NEW, Y_NEW = pictures(8, 1)
KINDS = [(kind, settings | {"cv": cv}) for kind, settings in CHEAP.items() for cv in (None, 2)]


def fingerprint(model: Any) -> str:
    """Of every number of every round of every layer."""

    def tensors() -> Iterator[torch.Tensor | None]:
        for layer in model.layers_:
            yield from () if layer.features is None else (layer.features.filters, layer.features.mean)
            for round_ in layer.rounds:
                yield from (round_.coef, round_.agop_coef, round_.feature_matrix, round_.amplitude)

    digest = hashlib.sha256(repr([record | {"seconds": 0} for record in model.history_]).encode())
    for tensor in tensors():
        digest.update(b"" if tensor is None else tensor.numpy().tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize(("kind", "settings"), KINDS, ids=str)
def test_a_fit_is_the_same_to_the_last_bit_whatever_was_predicted_scored_or_fitted_before(
    kind: type, settings: dict[str, Any]
) -> None:
    alone = fingerprint(kind(**settings).fit(X.copy(), Y.copy()))
    together = np.concatenate([X, X_NEW])
    model = kind(**settings).fit(together[:16], np.concatenate([Y, Y_NEW])[:16])
    assert fingerprint(model) == alone
    model.score(together[16:], Y_NEW)
    list(model.staged_predict(together[16:]))
    together[16:] = 100.0
    assert fingerprint(model.fit(together[:16], Y)) == alone
    model.fit(X_NEW, Y_NEW)
    model.predict(X)
    assert fingerprint(model) != alone
    assert fingerprint(model.fit(X, Y)) == alone


def test_predictions_between_the_rounds_of_a_warm_start_change_nothing() -> None:
    settings = CHEAP[DeepConvRFMClassifier] | {"n_iterations": 0}
    model = DeepConvRFMClassifier(**settings, warm_start=True)
    for n_iterations in range(3):
        model.set_params(n_iterations=n_iterations).fit(X, Y)
        model.score(X_NEW, Y_NEW)
        model.predict_proba(X_NEW)
    assert fingerprint(model) == fingerprint(DeepConvRFMClassifier(**settings | {"n_iterations": 2}).fit(X, Y))


@pytest.mark.parametrize(("kind", "settings"), KINDS, ids=str)
def test_the_callers_arrays_are_left_as_they_were(kind: type, settings: dict[str, Any]) -> None:
    given = [X.copy(), Y.copy(), 1.0 + Y % 2, np.arange(16) // 2, X_NEW.copy()]
    before = [array.copy() for array in given]
    for array in given:
        array.setflags(write=False)
    kind(**settings).fit(*given[:3], groups=given[3]).predict(given[4])
    for array, kept in zip(given, before, strict=True):
        np.testing.assert_array_equal(array, kept)


@pytest.mark.parametrize("solver", ["exact", "cg", "features"])
@pytest.mark.parametrize("kind", CHEAP)
def test_the_state_of_global_random_streams_is_neither_read_nor_moved(
    kind: type, solver: str, stream_of_numpy: None, as_a_user: None
) -> None:
    """Runtime type checks would draw the items that they look at."""
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        before = torch.get_rng_state().tolist(), random.getstate(), pickle.dumps(np.random.get_state())  # noqa: NPY002
        found.append(fingerprint(kind(**CHEAP[kind], agop_samples=9, solver=solver, n_features=6).fit(X, Y)))
        after = torch.get_rng_state().tolist(), random.getstate(), pickle.dumps(np.random.get_state())  # noqa: NPY002
        assert after == before
    assert found[0] == found[1]


def test_during_a_fit_kernels_meet_the_training_images_and_no_others() -> None:
    model = ConvRFMClassifier(Recorded(KERNEL.architecture), n_iterations=2).fit(X, Y)
    model.predict(X_NEW)
    Recorded.met.clear()
    model.fit(X, Y)
    assert len(Recorded.met) == 5
    assert all(rows(images) == rows(X) for _, *pair in Recorded.met for images in pair)
    model.predict(X_NEW)
    assert rows(Recorded.met[-1][1]) == rows(X_NEW)


def test_during_a_deep_fit_every_layer_meets_features_of_the_training_images_and_no_others() -> None:
    def family(depth: int) -> Recorded:
        return Recorded(KERNEL.architecture)

    model = DeepConvRFMClassifier(family, **CHEAP[DeepConvRFMClassifier])
    model.fit(X, Y).predict(X_NEW)
    Recorded.met.clear()
    model.fit(X, Y)
    centered = {way: layer_images(X, model.filters_[0], "relu", 0, way, X) for way in CENTERINGS}
    expected = [X] * 3 + list(centered.values()) + [centered[model.centerings_[0]]] * 2
    for (_, *pair), images in zip(Recorded.met, expected, strict=True):
        for met in pair:
            np.testing.assert_allclose(met, images, rtol=1e-9, atol=1e-12)
