"""The torch baseline's side of a case."""

import torch

from benchmarks.einsum_baseline import kernel
from benchmarks.inputs import inputs
from benchmarks.process import run, serve


def main(settings: dict) -> None:
    given, tangent = inputs(settings), settings["task"] != "nngp"
    metric = given.feature_matrix

    def work() -> torch.Tensor:
        root = None if metric is None else torch.linalg.cholesky(metric).T
        return kernel(given.x, given.z, settings["depth"], root, tangent=tangent)

    with torch.inference_mode():
        serve(work, given.share)


if __name__ == "__main__":
    run(main)
