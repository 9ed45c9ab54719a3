"""Every bad input gets a worded error: what was expected, what came, the remedy."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import convrfm
from convrfm import ConvRFMClassifier, ConvRFMRegressor, DeepConvRFMClassifier, DeepConvRFMRegressor, datasets, kernels
from convrfm.errors import InputError, ModelFileError
from convrfm.storage.digests import digest

from .cases import CHEAP, KERNEL, laplace_family

X, Y = datasets.bars(12, sigma=1.0, generator=np.random.default_rng(0))
SPOILT = X.copy()
SPOILT[3, 0, 2, 1] = np.nan
ENDLESS = X.copy()
ENDLESS[0, 0, 0, 0] = np.inf
CLASSIFIERS = (ConvRFMClassifier, DeepConvRFMClassifier)
REGRESSORS = (ConvRFMRegressor, DeepConvRFMRegressor)
SHALLOW = (ConvRFMClassifier, ConvRFMRegressor)
DEEP = (DeepConvRFMClassifier, DeepConvRFMRegressor)

pytestmark = pytest.mark.usefixtures("as_a_user")


def without_address(value: object) -> str:
    """The name of a case, the same in every process."""
    return re.sub(r" at 0x\w+", "", str(value))


class HalfAKernel:
    """Without `diagonal` and `check_image_size`."""

    window, agop = KERNEL.window, KERNEL.agop

    def __call__(self, x: Any, z: Any = None) -> Any:
        return KERNEL(x, z)

    def __repr__(self) -> str:
        return "HalfAKernel()"


@pytest.mark.parametrize("kind", CHEAP)
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((12, 32, 32, 3)), "If the channels are last"),
        (SPOILT, "finite"),
        (ENDLESS, "finite"),
        (np.ones_like(X), "images that differ"),
        (X[:, :, :2], "too small|cannot carry depth 2: layer 1"),
        (X.reshape(12, -1), "image_shape"),
        (X[:7], "12 labels for 7 images|12 targets for 7 images"),
        (X[:0], "at least one"),
        ("photos", "numbers|array"),
    ],
    ids=["channels last", "NaN", "infinity", "constant", "too small", "2-D", "lengths", "empty", "a string"],
)
def test_images(kind: type, x: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(**CHEAP[kind]).fit(x, Y)


@pytest.mark.parametrize("kind", CLASSIFIERS)
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(12), "at least two classes"),
        (Y[:7], "7 labels for 12 images"),
        (np.array([None] * 12), "12 are missing"),
        (np.eye(2)[Y], r"one label per image; got \(12, 2\)"),
        (0.5 + Y, "regressor"),
    ],
    ids=["one class", "lengths", "no labels", "one-hot", "fractions"],
)
def test_labels(kind: type, y: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(**CHEAP[kind]).fit(X, y)


@pytest.mark.parametrize("kind", REGRESSORS)
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.full(12, np.nan), "finite"),
        (np.zeros((12, 2, 2)), r"\(n,\) or \(n, k\)"),
        (np.array(["a"] * 12), "must be numbers"),
        (np.zeros(5), "5 targets for 12 images"),
        (np.zeros(12), "all targets are equal"),
    ],
    ids=["NaN", "three axes", "text", "lengths", "zeros"],
)
def test_targets(kind: type, y: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(**CHEAP[kind]).fit(X, y)


@pytest.mark.parametrize("kind", CHEAP)
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ridge": -1.0}, "not be negative"),
        ({"ridge": [1e-3, -1e-3]}, "not be negative"),
        ({"ridge": "cv"}, '"loo"'),
        ({"ridge": []}, "not be negative"),
        ({"ridge": ["a"]}, "ridge must be"),
        ({"n_iterations": -1}, "n_iterations"),
        ({"n_iterations": 2.5}, "n_iterations"),
        ({"n_iterations": True}, "n_iterations"),
        ({"agop_samples": 13}, "between 1 and the 12"),
        ({"agop_samples": slice(12, 20)}, "selects none"),
        ({"agop_samples": [99]}, "must index"),
        ({"agop_samples": True}, "agop_samples"),
        ({"keep": "first"}, "keep must be one of"),
        ({"keep": np.array(["best", "last"])}, "keep must be one of"),
        ({"choose_on": "test"}, "choose_on must be one of"),
        ({"agop_ridge": "first"}, "agop_ridge must be one of"),
        ({"feature_power": 0.0}, "feature_power must be a positive"),
        ({"feature_power": None}, "feature_power must be a positive"),
        ({"feature_trace": "a"}, "feature_trace must be"),
        ({"device": "abacus"}, "device must be"),
        ({"image_shape": (3, 16, 32)}, "image_shape"),
        ({"image_shape": 16}, "image_shape must be"),
        ({"image_shape": (16, 32)}, "image_shape must be"),
        ({"image_shape": (-1, -1, 32)}, "image_shape must be"),
        ({"image_shape": (1, -2, -256)}, "image_shape must be"),
        ({"image_shape": (1, 16.0, 32.0)}, "image_shape must be"),
        ({"image_shape": "1x16x32"}, "image_shape must be"),
        ({"ridge": True}, "ridge must be a number"),
        ({"ridge": [1e-3, True]}, "ridge must be a number"),
        ({"image_shape": (True, 16, 32)}, "image_shape must be"),
        ({"random_state": -1}, "random_state must be"),
        ({"random_state": "a"}, "random_state must be"),
        ({"cv": 1}, "cv must be None"),
        ({"cv": True}, "cv must be None"),
        ({"cv": "loo"}, "cv must be None"),
        ({"cv": 13}, "cv must be at most"),
        ({"cv": 2, "agop_samples": [0]}, "holds out every image of agop_samples"),
    ],
    ids=str,
)
def test_settings(kind: type, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(**CHEAP[kind] | settings).fit(X, Y)


@pytest.mark.parametrize("kind", SHALLOW)
@pytest.mark.parametrize(
    "kernel", ["ntk", kernels.NTK, [], [KERNEL, "ntk"], kernels.vanilla_ntk, None, HalfAKernel()], ids=without_address
)
def test_kernels(kind: type, kernel: Any) -> None:
    with pytest.raises(InputError, match="kernel must be"):
        kind(kernel, n_iterations=1).fit(X, Y)


@pytest.mark.parametrize("kind", DEEP)
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_filters": 0}, "n_filters must be an integer of at least 1"),
        ({"n_filters": 2.0}, "n_filters must be an integer of at least 1"),
        ({"depth": 0}, "depth must be an integer of at least 1"),
        ({"depth": "3"}, "depth must be an integer of at least 1"),
        ({"depth": True}, "depth must be an integer of at least 1"),
        ({"depth": []}, "depth must be one candidate or several"),
        ({"depth": [1, 0]}, "depth must be an integer of at least 1"),
        ({"activation": "tanh"}, "activation must be one of"),
        ({"kernel_family": KERNEL}, "kernel_family must take a depth"),
        ({"kernel_family": kernels.NTK}, "kernel_family must take a depth"),
        ({"kernel_family": "ntk"}, "kernel_family must take a depth"),
        ({"kernel_family": []}, "kernel_family must be one candidate or several"),
        ({"kernel_family": lambda depth: depth}, "kernel must be"),
        ({"kernel_family": laplace_family, "depth": 8}, "cannot carry depth 8: layer 8 gets 2 x 18"),
    ],
    ids=without_address,
)
def test_settings_of_deep_models(kind: type, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(**CHEAP[kind] | settings).fit(X, Y)


@pytest.mark.parametrize("kind", CHEAP)
@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.arange(11), r"groups must be \(12,\)"),
        (np.eye(12), r"groups must be \(12,\)"),
        (np.zeros(12), "at least two"),
        (np.array([1, "a"] * 6, dtype=object), "all numbers or all strings"),
        (np.array([0.0, 1.0, np.nan] * 4), "4 of 12 are NaN"),
        (np.array([0.0, 1.0, np.nan] * 4, dtype=object), "^groups must be known for every image; 4 are missing"),
        (["a", "b", np.nan] * 4, "4 are missing"),
        (["a", "b", None] * 4, "4 are missing"),
    ],
    ids=["length", "shape", "one", "mixed", "unknown", "unknown objects", "unknown texts", "none"],
)
def test_groups(kind: type, groups: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(**CHEAP[kind]).fit(X, Y, groups=groups)


@pytest.mark.parametrize("kind", CHEAP)
def test_selection_sets(kind: type) -> None:
    settings = CHEAP[kind] | {"choose_on": "selection"}
    with pytest.raises(InputError, match="images of their own"):
        kind(**settings).fit(X, Y)
    with pytest.raises(InputError, match="fitted to images of 1 x 16 x 32"):
        kind(**settings).fit(X, Y, selection=(X[:, :, :9], Y))
    with pytest.raises(InputError, match=r"(labels|targets) for 12 images"):
        kind(**settings).fit(X, Y, selection=(X, Y[:5]))
    for selection in (5, (X,), (X, Y, Y), "xy", X):
        with pytest.raises(InputError, match=r"selection must be a pair"):
            kind(**settings).fit(X, Y, selection=selection)


@pytest.mark.parametrize("kind", REGRESSORS)
@pytest.mark.parametrize(("trained", "selected"), [(3, None), (None, 3), (3, 2)], ids=str)
def test_selection_sets_of_other_targets(kind: type, trained: int | None, selected: int | None) -> None:
    y, y_s = (Y * 1.0 if k is None else np.outer(Y, np.arange(1, k + 1)) for k in (trained, selected))
    with pytest.raises(InputError, match=f"selection must have as many targets an image as y, {trained or 1}; it has"):
        kind(**CHEAP[kind] | {"choose_on": "selection"}).fit(X, y, selection=(X, y_s))


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_selection_sets_with_unknown_labels(kind: type) -> None:
    with pytest.raises(InputError, match="labels that the training set lacks: \\[5\\]"):
        kind(**CHEAP[kind] | {"choose_on": "selection"}).fit(X, Y, selection=(X, np.full(12, 5)))


@pytest.mark.parametrize("kind", CHEAP)
@pytest.mark.parametrize("shape", [(2, 1, 16, 31), (2, 3, 16, 32)], ids=["another size", "other channels"])
def test_predicting_on_other_images(kind: type, shape: tuple[int, ...]) -> None:
    model = kind(**CHEAP[kind] | {"n_iterations": 0}).fit(X, Y)
    with pytest.raises(InputError, match="fitted to images of 1 x 16 x 32"):
        model.predict(np.ones(shape))
    if shape[1] == 3:
        with pytest.raises(InputError, match="1 channel; got 3"):
            model.feature_maps(np.ones(shape))


@pytest.mark.parametrize("kind", CHEAP)
def test_feature_maps_that_cannot_be_made(kind: type) -> None:
    model = kind(**CHEAP[kind] | {"n_iterations": 0}).fit(X, Y)
    last = len(model.layers_)
    with pytest.raises(InputError, match="larger images"):
        model.feature_maps(np.ones((2, 1, 2 * last, 9)), layer=last)
    for layer in (0, last + 1, 1.0, "1"):
        with pytest.raises(InputError, match=f"layer must be an integer from 1 to {last}"):
            model.feature_maps(X, layer=layer)


def saved(path: Path, kind: type = ConvRFMClassifier) -> Path:
    kind(**CHEAP[kind] | {"n_iterations": 0}).fit(X, Y).save(path)
    return path


def opened(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The header and the tensors of a model file."""
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["convrfm"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del header["digest"]
    return header, tensors


def forge(path: Path, header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    """A model file that says this, with the right digest."""
    save_file(tensors, path, metadata={"convrfm": json.dumps(header | {"digest": digest(header, tensors)})})


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


@pytest.mark.parametrize("kind", CHEAP)
def test_a_model_whose_tensors_do_not_fit_together(kind: type, tmp_path: Path) -> None:
    path = saved(tmp_path / "model", kind)
    header, tensors = opened(path)
    outputs = 2 if kind in CLASSIFIERS else 1
    wrong = [
        ("coef.0.0", torch.full((12, outputs), torch.nan)),
        ("coef.0.0", torch.zeros(11, outputs)),
        ("coef.0.0", torch.zeros(12, outputs + 1)),
        ("agop_coef.0.0", torch.zeros(12, outputs + 1)),
        ("feature_matrix.0.0", torch.eye(4)),
        ("amplitude.0.0", torch.ones(outputs + 1)),
        ("targets", torch.zeros(11, outputs)),
        ("weights", torch.ones(11)),
    ]
    if kind in DEEP:
        wrong += [("filters.0", torch.zeros(5, 4)), ("filters.0", torch.zeros(4, 9))]
    for name, tensor in wrong:
        forge(path, header, tensors | {name: tensor})
        with pytest.raises(ModelFileError, match="damaged"):
            convrfm.load(path)
    for name in tensors:
        forge(path, header, {n: t for n, t in tensors.items() if n != name})
        with pytest.raises(ModelFileError, match="damaged"):
            convrfm.load(path)


@pytest.mark.parametrize("initial_metric", ["identity", "whitening"])
def test_a_model_whose_metric_is_and_is_not_the_identity(initial_metric: Any, tmp_path: Path) -> None:
    path = tmp_path / "model"
    ConvRFMRegressor(KERNEL, n_iterations=0, initial_metric=initial_metric).fit(X, Y).save(path)
    header, tensors = opened(path)
    header["learned"]["layers"][0]["identity"] = None if initial_metric == "identity" else 9
    forge(path, header, tensors)
    with pytest.raises(ModelFileError, match="damaged"):
        convrfm.load(path)


def test_a_deep_model_whose_images_are_too_small_for_its_filters(tmp_path: Path) -> None:
    path = tmp_path / "model"
    DeepConvRFMRegressor(kernels.vanilla_ntk, depth=2, n_filters=2, n_iterations=0).fit(X, Y).save(path)
    header, tensors = opened(path)
    forge(path, header, tensors | {"x_fit": torch.ones(12, 1, 2, 2)})
    with pytest.raises(ModelFileError, match="damaged"):
        convrfm.load(path)


@pytest.mark.parametrize("kind", CHEAP)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 99}, "fit again"),
        ({"format": "other"}, "this convrfm reads"),
        ({"estimator": "os.system"}, "knows"),
        (
            {"learned": {"layers": [{"kernel": {"kernel": "NTK", "layers": [{"layer": "Exploit"}]}}]}},
            "no activation 'Exploit' is known",
        ),
        ({"learned": {}}, "damaged"),
        ({"learned": {"layers": [], "history": [], "classes": {"dtype": "<i8", "values": [0, 1]}}}, "damaged"),
        ({"format_version": 0}, "this convrfm reads"),
        ({"surprise": 1}, "damaged"),
    ],
    ids=str,
)
def test_a_header_that_was_tampered_with(kind: type, change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "model", kind)
    header, tensors = opened(path)
    forge(path, header | change, tensors)
    with pytest.raises(ModelFileError, match=message):
        convrfm.load(path)


@pytest.mark.parametrize("dtype", ["|S1000000000", "|V1000000000", "|O", "<M8[D]", "<m8[s]", "<c16", "(1000000,)<i8"])
def test_labels_of_a_type_that_no_labels_have_take_no_memory(dtype: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "model")
    header, tensors = opened(path)
    header["learned"]["classes"]["dtype"] = dtype
    forge(path, header, tensors)
    with pytest.raises(ModelFileError, match=r"damaged: .*\(labels are numbers, booleans or strings"):
        convrfm.load(path)


@pytest.mark.parametrize(
    "classes",
    [
        {"dtype": "<i8", "values": ["0", "1"]},
        {"dtype": "<i8", "values": [0.2, 1.7]},
        {"dtype": "|i1", "values": [0, 1000]},
        {"dtype": "<i8", "values": [[0], [1]]},
        {"dtype": "<i8", "values": [1, 1]},
        {"dtype": "<U1", "values": [0, 1]},
        {"dtype": "<U1", "values": "ab"},
        {"dtype": "text", "values": ["a", "b"]},
    ],
    ids=str,
)
def test_labels_that_are_not_of_their_type(classes: dict[str, Any], tmp_path: Path) -> None:
    path = saved(tmp_path / "model")
    header, tensors = opened(path)
    header["learned"]["classes"] = classes
    forge(path, header, tensors)
    with pytest.raises(ModelFileError, match="damaged"):
        convrfm.load(path)


@pytest.mark.parametrize("dtype", ["<U1", "<U100000000"])
def test_texts_are_as_wide_as_they_are_whatever_a_file_says(dtype: str, tmp_path: Path) -> None:
    labels = np.array(["dog", "horse"])[Y]
    ConvRFMClassifier(**CHEAP[ConvRFMClassifier]).fit(X, labels).save(tmp_path / "model")
    header, tensors = opened(tmp_path / "model")
    header["learned"]["classes"]["dtype"] = dtype
    forge(tmp_path / "model", header, tensors)
    classes = convrfm.load(tmp_path / "model").classes_
    assert (classes.dtype, classes.tolist()) == ("<U5", ["dog", "horse"])


def test_an_activation_that_was_tampered_with(tmp_path: Path) -> None:
    path = saved(tmp_path / "model", DeepConvRFMClassifier)
    header, tensors = opened(path)
    header["learned"]["layers"][0]["activation"] = "tanh"
    forge(path, header, tensors)
    with pytest.raises(ModelFileError, match="activation of layer 0 is unknown"):
        convrfm.load(path)
