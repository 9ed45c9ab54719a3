"""Options that are given again are models that one fit compares, in the order of their names."""

import re
from typing import Any

import numpy as np
import pytest

from convrfm import kernels
from convrfm.commands.candidates import Candidates
from convrfm.commands.choices import KernelName, Network
from convrfm.commands.compared import compared_models
from convrfm.commands.kernel_by_name import Family
from convrfm.errors import InputError
from convrfm.estimators.candidates import best_fit

SETTINGS: dict[str, Any] = {
    "kernel": [KernelName.NTK],
    "network": [Network.VANILLA],
    "patch_size": [3],
    "depth": [2],
    "pool_size": 2,
    "bandwidth": 10.0,
    "deep": False,
    "filters": 4,
}


def candidates(**changes: Any) -> Candidates:
    return Candidates.of(**(SETTINGS | changes))


def test_every_option_makes_its_kernel() -> None:
    several = candidates(
        kernel=[KernelName.NNGP, KernelName.LAPLACE],
        network=[Network.VANILLA, Network.AVERAGE, Network.GLOBAL, Network.MYRTLE_5],
        depth=[1, 2, 1],
        patch_size=[5],
    )
    pooled = [kernels.NNGP(kernels.vanilla(depth, 5, pooling)) for pooling in (None, 2, "global") for depth in (1, 2)]
    expected = [*pooled, kernels.NNGP(kernels.myrtle(5)), kernels.Laplace(5, 10.0)]
    assert several.unfitted().get_params()["kernel"] == expected
    assert several.names == [
        "nngp of vanilla, patches of 5, depth 1",
        "nngp of vanilla, patches of 5, depth 2",
        "nngp of average 2, patches of 5, depth 1",
        "nngp of average 2, patches of 5, depth 2",
        "nngp of global, patches of 5, depth 1",
        "nngp of global, patches of 5, depth 2",
        "nngp of myrtle5",
        "laplace, patches of 5",
    ]


def test_every_kernel_of_the_library_has_a_name() -> None:
    named = {name: Family(name, 5, 2.0)(1) for name in KernelName}
    public = {
        kind for kind in vars(kernels).values() if isinstance(kind, type) and issubclass(kind, kernels.PatchKernel)
    }
    bases = {kernels.PatchKernel, kernels.RadialKernel}
    assert {type(kernel) for kernel in named.values()} == public - bases
    assert named[KernelName.MATERN_3] == kernels.Matern(5, 2.0, smoothness=1.5)
    assert named[KernelName.MATERN_5] == kernels.Matern(5, 2.0, smoothness=2.5)
    assert all(isinstance(kernel, kernels.RadialKernel) == name.is_radial for name, kernel in named.items())


def test_one_model_is_given_as_one() -> None:
    assert candidates().unfitted().get_params()["kernel"] == kernels.NTK(kernels.vanilla(2))
    deep = candidates(deep=True, network=[Network.AVERAGE]).unfitted().get_params()
    assert deep["depth"] == 2
    assert deep["kernel_family"](3) == kernels.NTK(kernels.vanilla(3, pooling=2))


def test_pooling_stands_in_front_of_the_readout() -> None:
    convolutions = (kernels.Conv(3), kernels.ReLU())
    whole = kernels.Architecture(*convolutions, kernels.GlobalAvgPool())
    assert kernels.vanilla(1, pooling="global") == whole
    assert kernels.vanilla(1, pooling=4) == kernels.Architecture(*convolutions, kernels.AvgPool(4), kernels.Flatten())


def test_myrtle_is_not_stacked() -> None:
    with pytest.raises(InputError, match=re.escape("Myrtle has one: pass network=vanilla")):
        candidates(deep=True, network=[Network.MYRTLE_7])


@pytest.mark.parametrize("deep", [False, True])
def test_what_is_said_of_the_models_is_what_the_fit_chose_by(deep: bool) -> None:
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((20, 1, 9, 9)).astype(np.float32), np.arange(20) % 2
    several = candidates(kernel=[KernelName.NTK, KernelName.NNGP], depth=[1, 2], deep=deep)
    model = several.unfitted().set_params(n_iterations=1).fit(x, y)
    compared = compared_models(model, several.names)
    assert len(compared.records) == len(several.names) == 4
    chosen = compared.records[compared.chosen]
    assert (
        chosen.held_out_score
        == model.layers_[-1].kept.judged.accuracy
        == max(r.held_out_score for r in compared.records)
    )
    assert chosen.iterations == [layer.kept.iteration for layer in model.layers_]
    name, depth = several.names[compared.chosen], 2 - compared.chosen % 2
    assert name.startswith(type(model.layers_[0].kernel).__name__.lower())
    assert len(model.layers_) == (1 if not deep else 3 - depth)
    assert best_fit([model.layers_]) == model.layers_


def test_one_model_is_not_compared() -> None:
    x, y = np.random.default_rng(0).standard_normal((12, 1, 9, 9)), np.arange(12) % 2
    one = candidates(depth=[1])
    assert compared_models(one.unfitted().set_params(n_iterations=0).fit(x, y), one.names) == ([], 0)
