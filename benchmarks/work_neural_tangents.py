"""Neural Tangents' side of a case: plain, as the paper uses it, and in the best formulation found inside it."""

import sys
import types

sys.modules["neural_tangents.experimental"] = types.ModuleType("experimental")  # wants TensorFlow, and is not used

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from neural_tangents import batch, stax  # noqa: E402

from benchmarks.process import run, serve  # noqa: E402

Q = 3


def network(depth: int, first: tuple[int, int] | None = None) -> object:
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
    n, shape, depth, contestant = (settings[k] for k in ("n", "shape", "depth", "contestant"))
    x = generator.standard_normal((n, *shape)).astype(np.float32)
    d = shape[0] * Q * Q
    root = (generator.standard_normal((d, d)) / np.sqrt(d)).astype(np.float32)
    root = (root + root.T) / 2
    coef = jnp.asarray(generator.standard_normal((n, 10)).astype(np.float32))
    last = jnp.asarray(x.transpose(0, 2, 3, 1))
    if settings["task"] == "myrtle":
        fn = batch(myrtle(), batch_size=2)
        serve(lambda: fn(last, None, "ntk").block_until_ready())
    if settings["task"] == "agop" and contestant == "nt-best":
        fn = network(depth)
        gradient = jax.jit(jax.jacrev(lambda z: fn(last, z[None], "ntk")[:, 0] @ coef))
        serve(lambda: [gradient(z).block_until_ready() for z in last[:2]], images=2)
    if settings["task"] == "agop":
        fn, large = network(depth, (Q, Q)), unfolded(x, root)
        gradient = jax.jacrev(lambda z: fn(large, z[None], "ntk")[:, 0] @ coef)
        serve(lambda: [gradient(z).block_until_ready() for z in large[:2]], images=2)
    if contestant == "nt-plain":
        fn = batch(network(depth), batch_size=min(n, 100))
        serve(lambda: np.asarray(fn(last, None, "ntk")))
    if contestant == "nt-best":
        fn = batch(network(depth, (1, 1)), batch_size=min(n, 100))
        serve(lambda: np.asarray(fn(as_channels(x, root), None, "ntk")))
    fn = batch(network(depth, (Q, Q)), batch_size=min(n, 100))
    serve(lambda: np.asarray(fn(unfolded(x, root), None, "ntk")))


if __name__ == "__main__":
    run(main)
