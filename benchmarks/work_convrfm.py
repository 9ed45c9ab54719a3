"""Our side of a case, in a process of its own; see `contest` for what it says and hears."""

import torch

from benchmarks.process import serve
from convrfm import kernels


def main(settings: dict) -> None:
    torch.manual_seed(0)
    n, shape = settings["n"], settings["shape"]
    engine = "reference" if settings["contestant"] == "torch" else "auto"
    x = torch.randn(n, *shape)
    d = shape[0] * 9
    A = torch.randn(d, d)
    M = A @ A.T / d
    coef = torch.randn(n, 10)
    if settings["task"] == "myrtle":
        kernel = kernels.NTK(kernels.myrtle(settings["depth"]), engine=engine)
        serve(lambda: kernel(x))
    kernel = kernels.NTK(kernels.vanilla(settings["depth"]), engine=engine)
    match settings["task"]:
        case "kernel":
            serve(lambda: kernel(x))
        case "metric":
            serve(lambda: kernel(x, feature_matrix=M))
        case "agop":
            serve(lambda: kernel.agop(x, x, coef, feature_matrix=M), images=n)


if __name__ == "__main__":
    from benchmarks.process import run

    run(main)
