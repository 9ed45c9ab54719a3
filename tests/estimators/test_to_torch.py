"""The modules that `to_torch` gives compute what the estimators compute."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from torch import nn

from convrfm import ConvRFMRegressor, DeepConvRFMRegressor, kernels
from convrfm.errors import InputError
from convrfm.estimators.machine import RecursiveFeatureMachine
from convrfm.kernels import NTK, Architecture, Conv, Flatten, ReLU

X = np.random.default_rng(0).standard_normal((10, 2, 7, 6))
Y = X[:, 0, 2, 3]
SETTINGS: dict[str, Any] = {"n_iterations": 1, "ridge": 1e-2, "keep": "last"}


def windowed(size: int, padding: Any, stride: int = 1) -> kernels.NTK:
    return NTK(Architecture(Conv(size, padding=padding, stride=stride), ReLU(), Flatten()))


def deep(centering: Any, activation: Any = "relu") -> RecursiveFeatureMachine:
    drawn = {"n_filters": 3, "centering": centering, "activation": activation}
    return DeepConvRFMRegressor(kernels.vanilla_ntk, depth=2, **drawn, **SETTINGS)


MODELS = {
    "valid": ConvRFMRegressor(kernels.Laplace(patch_size=3), **SETTINGS),
    "same": ConvRFMRegressor(windowed(3, "same"), **SETTINGS),
    "same, even side": ConvRFMRegressor(windowed(2, "same"), **SETTINGS),
    "same, stride 2": ConvRFMRegressor(windowed(3, "same", 2), **SETTINGS),
    "circular": ConvRFMRegressor(windowed(3, "circular"), **SETTINGS),
    "circular, even side": ConvRFMRegressor(windowed(2, "circular"), **SETTINGS),
    "deep": deep("mean"),
    "deep, in proportion": deep("proportional"),
    "deep, linear": deep("mean", None),
    "deep, not centered": deep(None),
}
FITTED = {name: model.fit(X, Y) for name, model in MODELS.items()}
models = pytest.mark.parametrize("model", FITTED.values(), ids=FITTED)


@models
def test_the_norm_of_the_roots_channels_is_the_feature_maps(model: Any) -> None:
    network = model.to_torch(n_filters=None)
    norms = network(torch.from_numpy(X)).norm(dim=1).detach().numpy()
    np.testing.assert_allclose(norms, model.feature_maps(X, layer=len(model.layers_)), rtol=1e-9, atol=1e-12)


@models
def test_drawn_filters_have_the_metric_as_their_covariance(model: Any) -> None:
    *_, convolution, relu = model.to_torch(n_filters=20_000, random_state=1)
    filters = convolution.weight.detach().flatten(1)
    M = model.layers_[-1].kept.feature_matrix
    assert isinstance(relu, nn.ReLU)
    expected = 2 * M / M.trace()
    spread = 6 * float(expected.diagonal().max()) / 20_000**0.5
    torch.testing.assert_close(filters.T @ filters / len(filters), expected, rtol=0, atol=spread)


@pytest.mark.parametrize("name", [name for name in MODELS if name.startswith("deep")])
def test_the_first_layers_of_a_deep_model_are_its_filters(name: str) -> None:
    model = FITTED[name]
    first, *_ = network = model.to_torch(5)
    np.testing.assert_array_equal(first.weight.detach().flatten(1), model.filters_[0])
    features = nn.functional.conv2d(torch.from_numpy(X), first.weight)
    features = features if name == "deep, linear" else features.relu()
    mean, length = features.mean((0, 2, 3), keepdim=True), features.norm(dim=1, keepdim=True)
    if name == "deep, in proportion":
        mean = mean * length / length.mean()
    features = features if name == "deep, not centered" else features - mean
    torch.testing.assert_close(network(torch.from_numpy(X)), network[-1](network[-2](features)))


def test_the_draw_is_that_of_the_seed_and_leaves_the_model_alone() -> None:
    model = FITTED["valid"]
    one, same, other = (model.to_torch(4, random_state=seed)[0].weight.detach() for seed in (0, 0, 1))
    torch.testing.assert_close(one, same)
    assert not torch.equal(one, other)
    before = model.feature_maps(X)
    with torch.no_grad():
        model.to_torch(None)[0].weight.zero_()
    np.testing.assert_array_equal(model.feature_maps(X), before)


def test_gradients_reach_the_filters() -> None:
    network = nn.Sequential(*FITTED["deep"].to_torch(4), nn.Flatten(), nn.LazyLinear(1, dtype=torch.float64))
    network(torch.from_numpy(X)).square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in network.parameters())


@pytest.mark.usefixtures("as_a_user")
def test_what_cannot_be_given_is_refused_in_words() -> None:
    with pytest.raises(InputError, match="n_filters must be an integer"):
        FITTED["valid"].to_torch(0)
    with pytest.raises(InputError, match="random_state must be"):
        FITTED["valid"].to_torch(4, random_state="a")
    twice_around = ConvRFMRegressor(windowed(9, "circular"), n_iterations=0).fit(X[..., :3, :3], Y)
    with pytest.raises(InputError, match=r"wraps around an image once.* 9 x 9 around 3 x 3 do more"):
        twice_around.to_torch()
    with pytest.raises(NotFittedError, match="call fit"):
        ConvRFMRegressor().to_torch()


@pytest.mark.parametrize("name", ["valid", "same, even side", "circular", "deep", "deep, in proportion"])
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # of the exporter's own libraries
def test_onnx_computes_the_same(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    network = FITTED[name].to_torch(4).float().eval()
    images = torch.from_numpy(X).float()
    path = tmp_path / "network.onnx"
    torch.onnx.export(network, (images,), path, dynamic_shapes=[{0: torch.export.Dim("n")}], verbose=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (outputs,) = session.run(None, {session.get_inputs()[0].name: images[:3].numpy()})
    np.testing.assert_allclose(outputs, network(images[:3]).detach(), rtol=1e-4, atol=1e-5)
