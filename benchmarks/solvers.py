"""Conjugate gradients against Cholesky: `python -m benchmarks.solvers DATA`; predictions, iterations, seconds."""

import argparse
import time

import torch
from jaxtyping import Float
from torch import Tensor

from convrfm import datasets, kernels
from convrfm.solvers.iterative import IterativePath, default_rank
from convrfm.solvers.tiled import InMemory

RIDGES = (1e-3, 1e-2, 1e-1)
SIDE = 1024


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.solvers", description=__doc__)
    parser.add_argument("data", help="as for convrfm fit")
    parser.add_argument("--n", type=int, default=3000, help="training images")
    parser.add_argument("--depth", type=int, default=2, help="of the NTK")
    arguments = parser.parse_args()
    images = datasets.load(arguments.data, n_train=arguments.n, n_test=500)
    x, new = torch.from_numpy(images.x_train), torch.from_numpy(images.x_test)
    classes = {label: number for number, label in enumerate(images.classes)}
    y = torch.nn.functional.one_hot(torch.tensor([classes[label] for label in images.y_train.tolist()])).double()
    kernel = kernels.NTK(kernels.vanilla(arguments.depth))
    K, meeting = kernel(x), kernel(new, x).double()
    print(f"{len(x)} images of {arguments.data}, NTK of depth {arguments.depth}, {SIDE} x {SIDE} tiles")
    for ridge in RIDGES:
        start = time.perf_counter()
        expected = meeting @ cholesky(K, y, ridge)
        print(f"ridge {ridge:g}: Cholesky {time.perf_counter() - start:.1f} s")
        for rank in (0, default_rank(len(x))):
            start = time.perf_counter()
            path = IterativePath(InMemory(K, SIDE), y, torch.Generator().manual_seed(0), rank=rank)
            off = float((meeting @ path.dual_coef(ridge) - expected).abs().max())
            seconds = time.perf_counter() - start
            print(
                f"  rank {rank}: {path.iterations} iterations, {seconds:.1f} s, predictions differ by {off:.1e} at most"
            )


def cholesky(K: Float[Tensor, "n n"], y: Float[Tensor, "n k"], ridge: float) -> Float[Tensor, "n k"]:
    """The coefficients, directly."""
    scale = float(K.max())
    A = K.double().div_(scale)
    A.diagonal().add_(ridge)
    return torch.cholesky_solve(y, torch.linalg.cholesky(A)) / scale


if __name__ == "__main__":
    main()
