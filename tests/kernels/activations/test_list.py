"""The one list of activations: files, engines and layers are told from it; what it lacks is said."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import convrfm
from convrfm import ConvRFMClassifier, kernels
from convrfm.errors import InputError
from convrfm.kernels.activations import ACTIVATIONS, Activation
from convrfm.kernels.activations.lane_activation import LaneActivation
from convrfm.kernels.description import describe, from_description
from convrfm.kernels.engines.choice import choose_engine, explain_engines
from convrfm.kernels.engines.cpu.duals import FAMILIES

EXAMPLES: list[Activation] = [
    kernels.ABReLU(-0.4, 1.3),
    kernels.Erf(),
    kernels.GELU(),
    kernels.LeakyReLU(0.2),
    kernels.Rbf(0.7),
    kernels.ReLU(),
    kernels.Sin(1.5, 0.8, 0.5),
]
every_activation = pytest.mark.parametrize("activation", EXAMPLES, ids=str)
CPU = torch.device("cpu")


def network(activation: Activation) -> kernels.NTK:
    return kernels.NTK(
        kernels.Architecture(kernels.Conv(3), activation, kernels.Conv(2), activation, kernels.Flatten())
    )


def images(n: int, seed: int) -> Tensor:
    return torch.randn(n, 1, 6, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_every_activation_is_tried_and_public() -> None:
    assert {type(activation) for activation in EXAMPLES} == set(ACTIVATIONS)
    assert all(getattr(kernels, activation.__name__) is activation for activation in ACTIVATIONS)
    assert {activation.__name__ for activation in ACTIVATIONS} <= set(kernels.__all__)


@every_activation
def test_a_description_makes_an_equal_kernel(activation: Activation) -> None:
    kernel = network(activation)
    assert from_description(describe(kernel)) == kernel


@every_activation
def test_auto_takes_the_cpu_engine_where_it_has_formulas_and_the_reference_where_it_says_that_it_has_none(
    activation: Activation,
) -> None:
    recursion = network(activation).recursion
    answer = explain_engines(recursion, CPU, torch.float64)["cpu"]
    if isinstance(activation, LaneActivation):
        assert answer is None
    else:
        assert answer == f"it has no formulas for {activation}."
        assert choose_engine("auto", recursion, CPU, torch.float64).name == "reference"
        with pytest.raises(InputError, match="no formulas for"):
            choose_engine("cpu", recursion, CPU, torch.float64)
    x, z = images(2, 1), images(3, 2)
    torch.testing.assert_close(
        network(activation)(x, z), dataclasses.replace(network(activation), engine="reference")(x, z)
    )


@dataclass(frozen=True)
class ScaledSquare(Activation):
    """One of a user's own."""

    scale: float = 1.0

    def phi(self, t: Tensor) -> Tensor:
        return self.scale * t**2

    def dual(self, s: Tensor, qx: Tensor, qz: Tensor) -> tuple[Tensor, Tensor]:
        return self.scale**2 * (qx * qz + 2 * s**2), self.scale**2 * 4 * s

    def pullback(
        self, s: Tensor, qx: Tensor, qz: Tensor, K_bar: Tensor, k0_bar: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        by_s = 4 * self.scale**2 * (s * K_bar if k0_bar is None else s * K_bar + k0_bar)
        return by_s, self.scale**2 * qz * K_bar


def test_an_activation_of_ones_own_is_saved_by_its_name_as_kernels_are(tmp_path: Path) -> None:
    kernel = network(ScaledSquare(0.5))
    assert from_description(describe(kernel)) == kernel
    x, y = images(6, 1), np.arange(6) % 2
    model = ConvRFMClassifier(kernel, n_iterations=1).fit(x, y)
    model.save(tmp_path / "model")
    assert torch.equal(convrfm.load(tmp_path / "model").decision_function(x), model.decision_function(x))


def test_activations_that_files_could_not_tell_apart_or_rebuild_are_refused() -> None:
    class ReLU(kernels.ReLU):
        pass

    with pytest.raises(InputError, match="two activations are called ReLU"):
        describe(network(ReLU()))
    assert from_description(describe(network(kernels.ReLU()))) == network(kernels.ReLU())


def test_every_compiled_activation_has_its_formulas_in_the_list_of_the_cpu_engine() -> None:
    compiled = {activation.formulas for activation in ACTIVATIONS if issubclass(activation, LaneActivation)}
    assert set(FAMILIES) == compiled
    assert len(FAMILIES) == len(compiled)


class Square(Activation):
    """t^2, with Isserlis' theorem."""

    def phi(self, t: Tensor) -> Tensor:
        return t * t

    def dual(self, s: Tensor, qx: Tensor, qz: Tensor) -> tuple[Tensor, Tensor]:
        return qx * qz + 2 * s * s, 4 * s

    def pullback(
        self, s: Tensor, qx: Tensor, qz: Tensor, K_bar: Tensor, k0_bar: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        return 4 * s * K_bar + (0 if k0_bar is None else 4 * k0_bar), qz * K_bar


def test_an_activation_of_ones_own_is_served_and_refused_by_files() -> None:
    kernel, x, z = network(Square()), images(2, 1), images(3, 2)
    coef = torch.ones(3, 1, dtype=torch.float64)
    free = x.clone().requires_grad_()
    kernel(free, z).sum().backward()
    gradients = kernel.patch_gradients(x, z, coef)[:, 0].transpose(1, 2)
    folded = torch.nn.functional.fold(gradients, (6, 6), 3)
    torch.testing.assert_close(folded, free.grad)
    with pytest.raises(InputError, match="can be saved"):
        describe(kernel)
