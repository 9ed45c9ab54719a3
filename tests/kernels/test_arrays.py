"""Whatever memory an array lies in, its numbers are those that are computed with."""

import json
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pytest
import torch

from convrfm.errors import InputError, UnknownClassError
from convrfm.kernels import (
    NNGP,
    NTK,
    ABReLU,
    Architecture,
    AvgPool,
    Conv,
    Flatten,
    Gaussian,
    GlobalAvgPool,
    Laplace,
    LeakyReLU,
    Matern,
    Rbf,
    ReLU,
    Sin,
    vanilla,
)
from convrfm.kernels.description import describe, from_description

X = np.random.default_rng(0).standard_normal((3, 1, 5, 5))


def drawn() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("kind", [">f8", ">f4", "<f4"])
def test_the_order_of_bytes_changes_nothing(kind: str) -> None:
    kernel, x = Gaussian(3, 2.0), X.astype(kind)
    native = x.astype(x.dtype.newbyteorder("="))
    np.testing.assert_array_equal(kernel(x, x[:2]), kernel(native, native[:2]))
    metric = np.diag(np.arange(1.0, 10))
    found = kernel(x, feature_matrix=metric.astype(">f8"))
    np.testing.assert_array_equal(found, kernel(native, feature_matrix=metric))


def test_a_mask_is_never_lost() -> None:
    with pytest.raises(InputError, match="x must not be masked"):
        Gaussian(3, 2.0)(np.ma.masked_greater(X, 1))


def test_a_call_runs_on_the_gpu_of_its_images(monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[torch.Tensor] = []

    def device_of(tensor: torch.Tensor) -> AbstractContextManager[None]:
        entered.append(tensor)
        return nullcontext()

    monkeypatch.setattr(torch.cuda, "device_of", device_of)
    x = torch.from_numpy(X)
    Gaussian(3, 2.0)(x)
    assert entered[0] is x


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize("name", ["x", "z", "dual_coef", "feature_matrix", "weights"])
@pytest.mark.parametrize("wrong", [[1.0, 2.0, 3.0], 2.0, "three"], ids=str)
def test_what_is_no_array_is_refused_by_name(name: str, wrong: object) -> None:
    given = {"x": X, "z": X, "dual_coef": np.ones((3, 2)), name: wrong}
    with pytest.raises(InputError, match=f"{name} must be a NumPy array or a torch tensor; got {type(wrong).__name__}"):
        Gaussian(3, 2.0).agop(**given)


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize("name", ["x", "z", "dual_coef"])
def test_what_an_agop_needs_cannot_be_none(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} must be a NumPy array or a torch tensor; got NoneType"):
        Gaussian(3, 2.0).agop(**{"x": X, "z": X, "dual_coef": np.ones((3, 2)), name: None})


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(0.5), np.int64(2), 2])
def test_scales_may_be_numbers_of_numpy_and_are_kept_in_files(number: np.generic | int) -> None:
    for kernel in (
        Gaussian(3, number),
        Laplace(3, number),
        Matern(3, number, np.float32(1.5)),
        NTK(Architecture(Conv(3, number, number), LeakyReLU(number), Conv(1), Rbf(number), Flatten(number))),
    ):
        assert from_description(json.loads(json.dumps(describe(kernel)))) == kernel
    plain = float(number)
    np.testing.assert_array_equal(Gaussian(3, number)(X), Gaussian(3, plain)(X))


def test_what_is_not_imported_is_asked_for() -> None:
    for description in ({"kernel": "Nobody"}, {"kernel": "NTK", "layers": [{"layer": "Nobody"}]}):
        with pytest.raises(UnknownClassError, match=r"'Nobody' is known here\. Import the module"):
            from_description(description)


@pytest.mark.parametrize(
    ("shape", "told"),
    [((2, 8, 8, 3), True), ((2, 8, 8, 7), True), ((2, 3, 8, 8), False), ((2, 8, 3, 3), False), ((2, 4, 4, 3), False)],
)
def test_colors_that_seem_last_are_told(shape: tuple[int, ...], told: bool) -> None:
    with pytest.warns(UserWarning, match="taken for images of 8 channels") if told else nullcontext():
        NTK(vanilla(1, patch_size=2))(np.ones(shape))


@pytest.mark.usefixtures("as_a_user")
def test_sizes_may_be_integers_of_numpy() -> None:
    size = np.int64(3)
    plain = NTK(Architecture(Conv(3, stride=1), ReLU(), AvgPool(3), Flatten()))
    numbered = NTK(Architecture(Conv(size, stride=np.int32(1)), ReLU(), AvgPool(size), Flatten()))
    assert numbered == plain
    assert json.dumps(describe(numbered)) == json.dumps(describe(plain))
    assert vanilla(np.int8(2), patch_size=size) == vanilla(2, patch_size=3)
    assert Gaussian(size, 2.0) == Gaussian(3, 2.0)
    numbers: dict[str, Any] = {"memory_budget": np.int64(10**6), "rank_tolerance": np.float32(0.5)}
    for kernel in (NTK(vanilla(1), **numbers), Gaussian(3, **numbers)):
        assert from_description(json.loads(json.dumps(describe(kernel)))) == kernel
    found, expected = (
        Gaussian(3).agop(X, X, X[:, 0, 0], probes=count, generator=drawn()) for count in (np.int64(2), 2)
    )
    np.testing.assert_array_equal(found, expected)
    for wrong in (True, 0, 3.0, "3", None):
        with pytest.raises(InputError, match="must be a positive integer"):
            Conv(wrong)
    for wrong in (True, 0, 3.0, "3"):
        with pytest.raises(InputError, match="memory_budget in bytes must be a positive integer"):
            Gaussian(3, memory_budget=wrong)
        with pytest.raises(InputError, match="probes must be a positive integer"):
            Gaussian(3).agop(X, X, X[:, 0, 0], probes=wrong, generator=drawn())


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize("value", [None, "1", True, 1j, [1.0], math.nan, math.inf, 10**400], ids=lambda v: repr(v)[:9])
@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("weight_std", lambda value: Conv(3, weight_std=value)),
        ("bias_std", lambda value: Conv(3, bias_std=value)),
        ("contrast", lambda value: Conv(3, contrast=0.0 if value is None else value)),
        ("weight_std", lambda value: Flatten(value)),
        ("bias_std", lambda value: GlobalAvgPool(1.0, value)),
        ("a", lambda value: ABReLU(value, 1.0)),
        ("b", lambda value: ABReLU(0.0, value)),
        ("slope", LeakyReLU),
        ("c", lambda value: Sin(1.0, 1.0, value)),
        ("gamma", Rbf),
        ("bandwidth", lambda value: Laplace(3, value)),
    ],
)
def test_scales_that_are_no_numbers_are_refused(name: str, made: Callable[[Any], object], value: Any) -> None:
    with pytest.raises(
        InputError, match=f"{name} must be (a finite number|a positive variance|a number from|positive and)"
    ):
        made(value)


@pytest.mark.parametrize("name", ["x", "dual_coef", "feature_matrix", "weights"])
def test_complex_numbers_are_refused(name: str) -> None:
    """Torch would drop the imaginary part."""
    x = np.random.default_rng(0).standard_normal((3, 1, 5, 5))
    given = {"x": x, "z": x, "dual_coef": np.ones((3, 1)), "feature_matrix": np.eye(9), "weights": np.ones(3)}
    kernel = NNGP(vanilla(1))
    kernel.agop(**given)
    with pytest.raises(InputError, match=f"{name} must be real"):
        kernel.agop(**given | {name: given[name] * 1j})


def test_coefficients_of_no_output_are_refused() -> None:
    x = np.zeros((3, 1, 5, 5)) + 1.0
    with pytest.raises(InputError, match=r"dual_coef must be \(3, k\)"):
        NNGP(vanilla(1)).agop(x, x, np.ones((3, 0)))
