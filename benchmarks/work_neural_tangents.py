"""Neural Tangents' side of a case: plain, as the paper uses it, and in the best formulation found inside it."""

import sys
import types
from collections.abc import Callable
from typing import Any

sys.modules["neural_tangents.experimental"] = types.ModuleType("experimental")  # wants TensorFlow, and is not used

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from neural_tangents import batch, stax  # noqa: E402

from benchmarks.process import run, serve  # noqa: E402

Q = 3


def network(depth: int, first: tuple[int, int] | None = None) -> Any:
    """[Conv(3), ReLU] * depth and Flatten; `first` gives the first convolution's side and stride."""
    layers = []
    for level in range(depth):
        side, stride = first if level == 0 and first else (Q, 1)
        layers += [stax.Conv(1, (side, side), (stride, stride), "VALID", W_std=1.0), stax.ABRelu(0, np.sqrt(2))]
    return stax.serial(*layers, stax.Flatten(), stax.Dense(1, W_std=1.0))[2]


def myrtle() -> object:
    conv = [stax.Conv(1, (3, 3), padding="SAME", W_std=1.0), stax.ABRelu(0, np.sqrt(2))]
    pool = [stax.AvgPool((2, 2), (2, 2))]
    layers = [*conv, *conv, *pool, *conv, *pool, *conv, *pool * 3]
    return stax.serial(*layers, stax.Flatten(), stax.Dense(1, W_std=1.0))[2]


def patches(x: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Every patch times the root of the metric, (n, rows, cols, c, q, q)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (Q, Q), axis=(2, 3))  # n c rows cols q q
    n, c, rows, cols = windows.shape[:4]
    flat = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n, rows, cols, -1) @ root
    return flat.reshape(n, rows, cols, c, Q, Q)


def channels_last(x: np.ndarray, root: np.ndarray | None = None) -> jax.Array:
    """The images as they are; a plain network knows no metric."""
    return jnp.asarray(x.transpose(0, 2, 3, 1))


def unfolded(x: np.ndarray, root: np.ndarray) -> jax.Array:
    """An image q times as large, which a convolution of stride q takes apart: the paper's usage."""
    p = patches(x, root)
    n, rows, cols, c = p.shape[:4]
    return jnp.asarray(p.transpose(0, 1, 4, 2, 5, 3).reshape(n, rows * Q, cols * Q, c))


def as_channels(x: np.ndarray, root: np.ndarray) -> jax.Array:
    """Patches as channels, which a 1 x 1 convolution reads."""
    p = patches(x, root)
    return jnp.asarray(p.reshape(*p.shape[:3], -1))


def main(settings: dict) -> None:
    generator = np.random.default_rng(0)
    n, shape, depth, task, contestant = (settings[k] for k in ("n", "shape", "depth", "task", "contestant"))
    d = shape[0] * Q * Q
    root = (generator.standard_normal((d, d)) / np.sqrt(d)).astype(np.float32)
    root = (root + root.T) / 2
    part = settings["part"] or n

    def images(count: int) -> np.ndarray:
        return generator.standard_normal((count, *shape)).astype(np.float32)

    if task == "agop":
        work = agop(images(n), root, depth, part, contestant)
        serve(work, part / n)
    fn, arranged = {
        "nt-plain": (myrtle() if task == "myrtle" else network(depth), channels_last),
        "nt-paper": (network(depth, (Q, Q)), unfolded),
        "nt-best": (network(depth, (1, 1)), as_channels),
    }[contestant]
    fn = batch(fn, batch_size=min(part, 100))
    x, z = images(part), None if settings["with_itself"] else images(part)
    which = "nngp" if task == "nngp" else "ntk"
    serve(lambda: np.asarray(fn(arranged(x, root), None if z is None else arranged(z, root), which)), (part / n) ** 2)


def agop(x: np.ndarray, root: np.ndarray, depth: int, part: int, contestant: str) -> Callable[[], object]:
    """The gradients of ten outputs at some of the images, by `jacrev`; summing their outer products takes no time."""
    coef = jnp.asarray(np.random.default_rng(1).standard_normal((len(x), 10)).astype(np.float32))
    best = contestant == "nt-best"
    fn = network(depth) if best else network(depth, (Q, Q))
    images = channels_last(x) if best else unfolded(x, root)
    gradient = jax.jacrev(lambda z: fn(images, z[None], "ntk")[:, 0] @ coef)
    if best:
        gradient = jax.jit(gradient)
    return lambda: [gradient(z).block_until_ready() for z in images[:part]]


if __name__ == "__main__":
    run(main)
