"""Every kernel, AGOP and patch gradient that Neural Tangents computed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from convrfm import kernels
from convrfm.kernels.infinite import InfiniteWidthKernel

GOLDEN = Path(__file__).parents[1] / "golden"
DESCRIPTIONS = json.loads((GOLDEN / "architectures.json").read_text())
SHAPES = ("1x8x8", "3x10x8")
KEYS = {shape: np.load(GOLDEN / f"kernels_{shape}.npz").files for shape in SHAPES}
# Some architectures are too deep for the small images: nothing was computed for them.
ARCHITECTURES = {name: d for name, d in DESCRIPTIONS.items() if f"{name}__M0__ntk_xx" in KEYS["3x10x8"]}
KINDS = {"ntk": kernels.NTK, "nngp": kernels.NNGP}
READOUTS = {"flatten": kernels.Flatten, "gap": kernels.GlobalAvgPool}


def layers_of(description: list[dict[str, Any]]) -> kernels.Architecture:
    layers: list[Any] = []
    readout = None
    for entry in description:
        match entry["type"]:
            case "conv":
                padding = entry["padding"].lower()
                bias = entry["b_std"] or 0.0
                layers.append(kernels.Conv(entry["filter"], entry["W_std"], bias, padding, entry["stride"]))
            case "abrelu":
                layers.append(kernels.ABReLU(entry["a"], entry["b"]))
            case "leakyrelu":
                layers.append(kernels.LeakyReLU(entry["alpha"]))
            case "erf":
                layers.append(kernels.Erf())
            case "gelu":
                layers.append(kernels.GELU())
            case "sin":
                layers.append(kernels.Sin(entry["a"], entry["b"], entry["c"]))
            case "rbf":
                layers.append(kernels.Rbf(entry["gamma"]))
            case "avgpool":
                layers.append(kernels.AvgPool(entry["size"]))
            case "flatten" | "gap":
                readout = READOUTS[entry["type"]]
            case "dense":
                assert readout is not None
                layers.append(readout(entry["W_std"], entry["b_std"] or 0.0))
    return kernels.Architecture(*layers)


def metric_of(values: dict[str, np.ndarray], key: str, architecture: kernels.Architecture) -> np.ndarray | None:
    return values[f"M{architecture.patch_size}"] if "__M1" in key else None


def worst(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_kernels_are_those_of_neural_tangents(name: str, dtype: type, golden_kernels: Any) -> None:
    architecture = layers_of(ARCHITECTURES[name])
    checked = 0
    for shape in SHAPES:
        values = golden_kernels[shape]
        x, z = values["X"].astype(dtype), values["Z"].astype(dtype)
        for key in (k for k in values if k.startswith(f"{name}__M")):
            kind, pair = key.split("__")[-1].split("_")
            kernel = KINDS[kind](architecture)
            metric = metric_of(values, key, architecture)
            K = kernel(x, None if pair == "xx" else z, feature_matrix=metric)
            assert K.dtype == dtype
            tolerance = 1e-4 if dtype == np.float32 else 1e-7 if pair == "xx" else 1e-9
            assert worst(K, values[key]) < tolerance, key
            if pair == "xx":
                np.testing.assert_array_equal(kernel.diagonal(x, feature_matrix=metric), np.diagonal(K))
            checked += 1
    assert checked > 0


def gradient_keys() -> list[tuple[str, str]]:
    return [(shape, key) for shape in SHAPES for key in np.load(GOLDEN / f"gradients_{shape}.npz").files]


@pytest.mark.parametrize(("shape", "key"), gradient_keys(), ids=lambda value: value)
def test_gradients_are_those_of_the_authors_procedure(
    shape: str, key: str, golden_kernels: Any, golden_gradients: Any
) -> None:
    values, expected = golden_kernels[shape], golden_gradients[shape][key]
    kernel = gradient_kernel(key)
    metric = metric_of(values, key, kernel.architecture)
    arguments = (values["Z"], values["X"], values["alpha"])
    if key.endswith("__agop"):
        assert worst(kernel.agop(*arguments, feature_matrix=metric), expected) < 1e-9
    else:
        gradients = kernel.patch_gradients(*arguments, feature_matrix=metric)
        assert worst(gradients, expected.reshape(gradients.shape)) < 1e-9


def gradient_kernel(key: str) -> InfiniteWidthKernel:
    kind = kernels.NNGP if "__nngp" in key else kernels.NTK
    return kind(layers_of(ARCHITECTURES[key.split("__")[0]]))


def test_float32_gradients_keep_float32_precision(golden_kernels: Any, golden_gradients: Any) -> None:
    for shape in SHAPES:
        values = {k: torch.tensor(v).float() for k, v in golden_kernels[shape].items() if k in ("X", "Z", "alpha")}
        for key, expected in golden_gradients[shape].items():
            if key.endswith("__agop"):
                kernel = gradient_kernel(key)
                metric = metric_of(golden_kernels[shape], key, kernel.architecture)
                M = None if metric is None else torch.tensor(metric).float()
                A = kernel.agop(values["Z"], values["X"], values["alpha"], feature_matrix=M)
                assert worst(A.numpy(), expected) < 1e-4, key
