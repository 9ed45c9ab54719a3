"""A loaded model knows on which scale its images were."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import convrfm
from convrfm import ConvRFMClassifier, datasets, kernels
from convrfm.datasets import Preprocessing
from convrfm.errors import InputError

RAW = np.random.default_rng(0).integers(256, size=(20, 6, 6, 3), dtype=np.uint8)


@pytest.fixture
def loaded(tmp_path: Path) -> ConvRFMClassifier:
    for i, raw in enumerate(RAW):
        path = tmp_path / "classes" / "ab"[i % 2] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(raw).save(path)
    data = datasets.load(tmp_path / "classes")
    model = ConvRFMClassifier(kernels.Gaussian(3, 2.0), n_iterations=0).fit(data.x_train, data.y_train)
    model.save(tmp_path / "model", preprocessing=data.preprocessing)
    return convrfm.load(tmp_path / "model")


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64, np.int64, torch.tensor])
@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function", "feature_maps"])
def test_raw_pictures_are_refused_with_what_helps(loaded: ConvRFMClassifier, kind: Any, method: str) -> None:
    raw = np.moveaxis(RAW, -1, 1)
    with pytest.raises(InputError, match=r"0 to 1; got values from .* to 2\d\d\. .*preprocessing_\.apply\(x\)"):
        getattr(loaded, method)(kind(raw))


def test_the_remedy_gives_what_the_model_gave_before(loaded: ConvRFMClassifier) -> None:
    assert loaded.preprocessing_ is not None
    scaled = loaded.preprocessing_.apply(np.moveaxis(RAW, -1, 1))
    np.testing.assert_array_equal(scaled, np.moveaxis(RAW, -1, 1).astype(np.float32) / np.float32(255))
    assert loaded.predict_proba(scaled).std() > 0


def test_more_rounds_on_the_same_images_keep_their_scale_and_other_images_bring_their_own(tmp_path: Path) -> None:
    x, y = np.moveaxis(RAW, -1, 1).astype(np.float32) / 255, np.arange(20) % 2
    model, scale = ConvRFMClassifier(kernels.Gaussian(3, 2.0), n_iterations=0).fit(x, y), Preprocessing((6, 6), 3)
    model.save(tmp_path / "model", preprocessing=scale)
    later = convrfm.load(tmp_path / "model").set_params(n_iterations=1, warm_start=True)
    assert later.fit(x, y).preprocessing_ == scale
    assert later.set_params(warm_start=False).fit(x, y).preprocessing_ is None
