"""Compute the golden values again with Neural Tangents: `.bench/nt/bin/python tests/golden/make.py [--write]`.

The environment is the one that `python -m benchmarks` makes. Says the largest relative difference from each file, whose keys
tell what is computed; `--write` puts the new values in their place.
"""

import argparse
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.modules["neural_tangents.experimental"] = types.ModuleType("experimental")  # wants TensorFlow, and is not used

import jax  # noqa: E402

jax.config.update("jax_enable_x64", True)

from neural_tangents import stax  # noqa: E402

HERE = Path(__file__).parent
ARCHITECTURES = json.loads((HERE / "architectures.json").read_text())
SEEDS = {"1x8x8": 100, "3x10x8": 101}
MODES = {"VALID": None, "SAME": "constant", "CIRCULAR": "wrap"}
Values = dict[str, np.ndarray]


def inputs(shape: str) -> Values:
    """Images, coefficients, and metrics for patches of side 3 and 5 with their roots."""
    generator, (c, rows, cols) = np.random.default_rng(SEEDS[shape]), map(int, shape.split("x"))
    drawn = {"X": generator.standard_normal((6, c, rows, cols)), "Z": generator.standard_normal((4, c, rows, cols))}
    drawn["alpha"] = generator.standard_normal((6, 3))
    for q in (3, 5):
        d = c * q * q
        A = generator.standard_normal((d, d))
        values, vectors = np.linalg.eigh(A @ A.T / d)
        drawn[f"M{q}"], drawn[f"sqrtM{q}"] = A @ A.T / d, (vectors * np.sqrt(values)) @ vectors.T
    return drawn


def kernel_of(name: str, *, on_patches: bool) -> Callable[..., Any]:
    """The architecture's kernel, on images with channels last, or on patches as the channels of a 1 x 1 convolution."""
    layers = []
    for number, layer in enumerate(ARCHITECTURES[name]):
        match layer["type"]:
            case "conv":
                side, padding = (1, "VALID") if on_patches and number == 0 else (layer["filter"], layer["padding"])
                strides = (layer["stride"], layer["stride"])
                layers.append(stax.Conv(1, (side, side), strides, padding, layer["W_std"], layer["b_std"]))
            case "abrelu":
                layers.append(stax.ABRelu(layer["a"], layer["b"]))
            case "leakyrelu":
                layers.append(stax.LeakyRelu(layer["alpha"]))
            case "erf":
                layers.append(stax.Erf())
            case "gelu":
                layers.append(stax.Gelu())
            case "sin":
                layers.append(stax.Sin(layer["a"], layer["b"], layer["c"]))
            case "rbf":
                layers.append(stax.Rbf(layer["gamma"]))
            case "avgpool":
                layers.append(stax.AvgPool((layer["size"], layer["size"]), (layer["size"], layer["size"])))
            case "flatten":
                layers.append(stax.Flatten())
            case "gap":
                layers.append(stax.GlobalAvgPool())
            case "dense":
                layers.append(stax.Dense(1, layer["W_std"], layer["b_std"]))
    return stax.serial(*layers)[2]


def patches(images: np.ndarray, conv: dict[str, Any]) -> np.ndarray:
    """`(n, rows, cols, c q q)` of the first convolution."""
    q, mode = conv["filter"], MODES[conv["padding"]]
    if mode is not None:
        images = np.pad(images, ((0, 0), (0, 0), (q // 2, q // 2), (q // 2, q // 2)), mode=mode)
    windows = np.lib.stride_tricks.sliding_window_view(images, (q, q), axis=(2, 3))
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(*windows.shape[:1], *windows.shape[2:4], -1)


def kernel_value(key: str, given: Values) -> np.ndarray:
    """K(X, Z) or K(X, X) of a key `{architecture}__M{0|1}__{nngp|ntk}_{xz|xx}`."""
    name, metric, (kind, pair) = *key.split("__")[:2], key.split("__")[2].split("_")
    conv = ARCHITECTURES[name][0]
    if metric == "M0":
        x, z = (given[side].transpose(0, 2, 3, 1) for side in "XZ")
    else:
        x, z = (patches(given[side], conv) @ given[f"sqrtM{conv['filter']}"] for side in "XZ")
    return np.asarray(kernel_of(name, on_patches=metric == "M1")(x, None if pair == "xx" else z, kind))


def gradient_value(key: str, given: Values) -> np.ndarray:
    """Of f_o(z) = sum_i alpha[i, o] K(X_i, z): the gradients with respect to patches, or their AGOP."""
    name, metric, *kind, asked = key.split("__")
    conv = ARCHITECTURES[name][0]
    q = conv["filter"]
    root = np.eye(len(given[f"M{q}"])) if metric == "M0" else given[f"sqrtM{q}"]
    kernel, x = kernel_of(name, on_patches=True), patches(given["X"], conv) @ root
    which = kind[0] if kind else "ntk"
    gradient = jax.jit(jax.jacrev(lambda p: given["alpha"].T @ kernel(x, p[None] @ root, which)[:, 0]))
    gradients = np.stack([gradient(p) for p in patches(given["Z"], conv)])
    if asked == "agop":
        flat = gradients.reshape(-1, gradients.shape[-1])
        return flat.T @ flat / len(gradients)
    return gradients.reshape(*gradients.shape[:-1], -1, q, q)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the new values in place of the old")
    parser.add_argument("--only", default="", help="the keys that begin with this")
    arguments = parser.parse_args()
    for path in sorted(HERE.glob("*.npz")):
        kind, shape = path.stem.split("_")
        given, old = inputs(shape), dict(np.load(path))
        compute = kernel_value if kind == "kernels" else gradient_value
        new = {key: compute(key, given) if "__" in key else given[key] for key in old if key.startswith(arguments.only)}
        worst = {key: float(np.abs(value - old[key]).max() / np.abs(old[key]).max()) for key, value in new.items()}
        key = max(worst, key=lambda name: worst[name])
        print(f"{path.name}: {len(worst)} arrays, largest difference {worst[key]:.1e}, of {key}", flush=True)
        if arguments.write:
            np.savez_compressed(path, **{**old, **new})


if __name__ == "__main__":
    main()
