"""Where the time goes: `python -m benchmarks.gpu.profile`, one kernel and one AGOP of the published size."""

import argparse

import torch
from torch.profiler import ProfilerActivity, profile

from convrfm import kernels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=4000)
    arguments = parser.parse_args()
    device = torch.device("cuda")
    x = torch.randn(arguments.images, 1, 42, 42, generator=torch.Generator().manual_seed(0)).to(device)
    coef, M = torch.randn(len(x), 10, device=device), torch.eye(9, device=device)
    kernel = kernels.NTK(kernels.vanilla(depth=3))
    for name, work in {
        "kernel": lambda: kernel(x, feature_matrix=M),
        "agop": lambda: kernel.agop(x, x, coef, feature_matrix=M),
    }.items():
        work()
        torch.cuda.synchronize()
        with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as profiled:
            work()
            torch.cuda.synchronize()
        print(name, profiled.key_averages().table(sort_by="self_cuda_time_total", row_limit=14), flush=True)


if __name__ == "__main__":
    main()
