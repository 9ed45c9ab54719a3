"""The AGOP of pooled random features as one would write it with torch's autograd, and that side of a case."""

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, relu, unfold

from benchmarks.inputs import inputs
from benchmarks.process import run, serve
from benchmarks.work_convrfm import POOLED, POOLING, drawn

TOGETHER = 16  # images


def features_agop(filters: Tensor, x: Tensor, coef: Tensor) -> Tensor:
    """The AGOP of `phi(x) @ coef` with respect to the patches of x, one backward pass for each output."""
    grid = tuple(length - POOLED.first.size + 1 for length in x.shape[-2:])
    total = x.new_zeros(2 * (filters.shape[1],))
    for some in x.split(TOGETHER):
        patches = unfold(some, POOLED.first.size).requires_grad_()
        met = avg_pool2d(relu(filters @ patches).unflatten(-1, grid), POOLING).flatten(1)
        outputs = met * math.sqrt(2 / met.shape[1]) @ coef  # the factor keeps the variance
        for output in outputs.T:
            (gradients,) = torch.autograd.grad(output.sum(), patches, retain_graph=True)
            columns = gradients.transpose(0, 1).flatten(1)
            total += columns @ columns.T
    return total / len(x)


def main(settings: dict) -> None:
    given = inputs(settings)
    _, filters, coef = drawn(given)
    serve(lambda: features_agop(filters, given.at, coef), given.share)


if __name__ == "__main__":
    run(main)
