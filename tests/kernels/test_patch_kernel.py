"""A kernel of one's own gives what `PatchKernel` asks for, and serves as others do."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from typing_extensions import override

import convrfm
from convrfm import ConvRFMRegressor, kernels
from convrfm.kernels.patch_gradients import PatchGradients
from convrfm.maths.patches import unfold_patches
from convrfm.maths.windows import Window


@dataclass(frozen=True)
class Linear(kernels.PatchKernel):
    """The mean over positions of x[u]^T M z[u], without a field but its own."""

    patch_size: int

    @property
    @override
    def window(self) -> Window:
        return Window(self.patch_size)

    @override
    def check_image_size(self, height: int, width: int) -> None:
        for length in (height, width):
            self.window.output_length(length)

    def seen(self, x: Tensor, factor: Tensor | None) -> Tensor:
        patches = unfold_patches(x, self.window).flatten(2)
        return patches if factor is None else factor @ patches

    @override
    def matrix(self, x: Tensor, z: Tensor | None, factor: Tensor | None, progress: Any) -> Tensor:
        left, right = (self.seen(each, factor) for each in (x, x if z is None else z))
        return torch.einsum("nsu,msu->nm", left, right) / left.shape[2]

    @override
    def own(self, x: Tensor, factor: Tensor | None) -> Tensor:
        return self.seen(x, factor).square().sum(1).mean(1)

    @override
    def gradients(
        self, x: Tensor, z: Tensor, dual_coef: Tensor, factor: Tensor | None, progress: Any
    ) -> PatchGradients:
        partners = self.seen(z, factor)

        def blocks() -> Iterator[Tensor]:
            yield torch.einsum("mk,msu->uks", dual_coef, partners)[:, None].expand(-1, len(x), -1, -1)

        return PatchGradients(blocks, factor, scale=1 / partners.shape[2])


def images(n: int, seed: int) -> Tensor:
    return torch.randn(n, 1, 6, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_matrix_and_agop_are_those_of_its_formula() -> None:
    kernel, x, z, coef = Linear(2), images(3, 0), images(4, 1), images(4, 2)[:, 0, 0, :2]
    M = torch.diag(torch.arange(4.0, dtype=torch.float64))
    a, b = (unfold_patches(each, Window(2)).flatten(2) for each in (x, z))
    torch.testing.assert_close(kernel(x, z, feature_matrix=M), torch.einsum("ndu,de,meu->nm", a, M, b) / 20)
    gradients = torch.einsum("mk,de,meu->kud", coef, M, b) / 20
    agop = kernel.agop(x, z, coef, feature_matrix=M)
    torch.testing.assert_close(agop, torch.einsum("kud,kue->de", gradients, gradients))


@pytest.mark.parametrize("solver", ["exact", "cg"])
@pytest.mark.parametrize("memory_budget", [None, 10**8])
def test_fits_and_files_take_it(solver: Any, memory_budget: int | None, tmp_path: Path) -> None:
    x = images(12, 0).numpy()
    settings: dict[str, Any] = {"n_iterations": 1, "ridge": 1e-1, "keep": "last"}
    model = ConvRFMRegressor(Linear(2), solver=solver, memory_budget=memory_budget, **settings).fit(x, x[:, 0, 2, 2])
    model.save(tmp_path / "model")
    expected = ConvRFMRegressor(Linear(2), solver="exact", **settings).fit(x, x[:, 0, 2, 2]).predict(x)
    np.testing.assert_allclose(convrfm.load(tmp_path / "model").predict(x), expected, rtol=1e-4, atol=1e-5)
