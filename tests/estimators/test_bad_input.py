"""Every bad input gets a worded error: what was expected, what came, the remedy."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import convrfm
from convrfm import ConvRFMClassifier, ConvRFMRegressor, DeepConvRFMRegressor, datasets, kernels
from convrfm.errors import InputError, ModelFileError

KERNEL = kernels.NTK(kernels.vanilla(1))
X, Y = datasets.bars(12, sigma=1.0, generator=np.random.default_rng(0))
SPOILT = X.copy()
SPOILT[3, 0, 2, 1] = np.nan
ENDLESS = X.copy()
ENDLESS[0, 0, 0, 0] = np.inf

pytestmark = pytest.mark.usefixtures("as_a_user")


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((12, 32, 32, 3)), Y, "If the channels are last"),
        (SPOILT, Y, "finite"),
        (ENDLESS, Y, "finite"),
        (np.ones_like(X), Y, "images that differ"),
        (X, np.zeros(12), "at least two classes"),
        (X[:2], np.array([0, 1]), "more images than classes"),
        (X, np.arange(12), "more images than classes"),
        (X[:, :, :2], Y, "too small"),
        (X.reshape(12, -1), Y, "image_shape"),
        (X, Y[:7], "7 labels for 12 images"),
        (X, np.array([None] * 12), "labels|numbers"),
        (X[:0], Y[:0], "at least one"),
        ("photos", Y, "numbers|array"),
    ],
    ids=[
        "channels last", "NaN", "infinity", "constant", "one class", "as many classes as images", "all distinct",
        "patch larger than image", "2-D", "lengths", "no labels", "empty", "a string",
    ],
)  # fmt: skip
def test_images_and_labels(x: Any, y: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ConvRFMClassifier(KERNEL, n_iterations=1).fit(x, y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.full(12, np.nan), "finite"),
        (np.zeros((12, 2, 2)), r"\(n,\) or \(n, k\)"),
        (np.array(["a"] * 12), "must be numbers"),
        (np.zeros(5), "5 targets for 12 images"),
    ],
)
def test_targets(y: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ConvRFMRegressor(KERNEL, n_iterations=1).fit(X, y)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ridge": -1.0}, "not be negative"),
        ({"ridge": [1e-3, -1e-3]}, "not be negative"),
        ({"ridge": "cv"}, '"loo"'),
        ({"ridge": []}, "not be negative"),
        ({"n_iterations": -1}, "n_iterations"),
        ({"n_iterations": 2.5}, "n_iterations"),
        ({"agop_samples": 13}, "between 1 and the 12"),
        ({"agop_samples": slice(12, 20)}, "selects none"),
        ({"agop_samples": [99]}, "must index"),
        ({"keep": "first"}, "keep must be one of"),
        ({"feature_power": 0.0}, "feature_power must be a positive"),
        ({"device": "abacus"}, "device must be"),
        ({"kernel": "ntk"}, "kernel must be"),
        ({"kernel": kernels.NTK}, "kernel must be"),
        ({"ridge": ["a"]}, "ridge must be"),
        ({"feature_trace": "a"}, "feature_trace must be"),
        ({"agop_samples": True}, "agop_samples"),
        ({"image_shape": (3, 16, 32)}, "image_shape"),
    ],
    ids=str,
)
def test_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ConvRFMClassifier(**({"kernel": KERNEL, "n_iterations": 1} | settings)).fit(X, Y)


@pytest.mark.parametrize("shape", [(2, 1, 16, 31), (2, 3, 16, 32)], ids=["another size", "other channels"])
def test_predicting_on_other_images(shape: tuple[int, ...]) -> None:
    model = ConvRFMClassifier(KERNEL, n_iterations=0).fit(X, Y)
    with pytest.raises(InputError, match="fitted to images of 1 x 16 x 32"):
        model.predict(np.ones(shape))
    if shape[1] == 3:
        with pytest.raises(InputError, match="1 channels"):
            model.feature_maps(np.ones(shape))


def saved(path: Path) -> Path:
    ConvRFMClassifier(KERNEL, n_iterations=0).fit(X, Y).save(path)
    return path


def test_a_missing_model_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no model file"):
        convrfm.load(tmp_path / "model")


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        saved(tmp_path / "nowhere" / "model")


@pytest.mark.parametrize("keep", [0, 7, 200, 0.5, 0.99])
def test_a_damaged_model_file(keep: float, tmp_path: Path) -> None:
    path = saved(tmp_path / "model")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if keep < 1 and keep else int(keep)])
    with pytest.raises(ModelFileError, match="damaged"):
        convrfm.load(path)


def test_a_foreign_model_file(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "network.safetensors")
    with pytest.raises(ModelFileError, match="not a convrfm model"):
        convrfm.load(tmp_path / "network.safetensors")
    (tmp_path / "pickle").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(ModelFileError, match="not a convrfm model"):
        convrfm.load(tmp_path / "pickle")


def test_a_model_whose_tensors_do_not_fit_together(tmp_path: Path) -> None:
    path = saved(tmp_path / "model")
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for name, tensor in (
        ("dual_coef.0.0", torch.full((12, 2), torch.nan)),
        ("dual_coef.0.0", torch.zeros(11, 2)),
        ("dual_coef.0.0", torch.zeros(12, 3)),
        ("feature_matrix.0.0", torch.eye(4)),
    ):
        save_file(tensors | {name: tensor}, path, metadata=metadata)
        with pytest.raises(ModelFileError, match="damaged"):
            convrfm.load(path)


def test_a_deep_model_whose_images_are_too_small_for_its_filters(tmp_path: Path) -> None:
    path = tmp_path / "model"
    DeepConvRFMRegressor(kernels.vanilla_ntk, depth=2, n_filters=2, n_iterations=0).fit(X, Y).save(path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors | {"x_fit": torch.ones(12, 1, 2, 2)}, path, metadata=metadata)
    with pytest.raises(ModelFileError, match="damaged"):
        convrfm.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 99}, "fit again"),
        ({"format": "other"}, "this convrfm reads"),
        ({"estimator": "os.system"}, "knows"),
        ({"learned": {"layers": [{"kernel": {"kernel": "NTK", "layers": [{"layer": "Exploit"}]}}]}}, "description"),
        ({"learned": {}}, "damaged"),
        ({"learned": {"layers": [], "history": [], "classes": {"dtype": "<i8", "values": [0, 1]}}}, "damaged"),
        ({"format_version": 0}, "this convrfm reads"),
        ({"surprise": 1}, "damaged"),
    ],
    ids=str,
)
def test_a_header_that_was_tampered_with(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "model")
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["convrfm"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, path, metadata={"convrfm": json.dumps(header | change)})
    with pytest.raises(ModelFileError, match=message):
        convrfm.load(path)
