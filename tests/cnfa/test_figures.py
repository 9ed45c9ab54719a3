"""Every figure of a layer is that of the dense `(d, d)` matrices, whatever smaller matrices it was computed from."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from convrfm.cnfa import controls
from convrfm.cnfa.estimates import Comparison, Estimate, compare
from convrfm.cnfa.moment_sums import MomentSums
from convrfm.cnfa.moments import Moments, effective_ranks
from convrfm.cnfa.rotations import Rotations
from convrfm.cnfa.spread import resampled

N_IMAGES = 5
N_PROBES = 3


@dataclass(frozen=True)
class Layer:
    name: str
    groups: int
    rows: int
    d: int
    positions: int
    spoil: str = ""

    def filters(self, seed: int = 0) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        filters = torch.randn(self.groups, self.rows, self.d, generator=generator, dtype=torch.float64)
        if self.spoil == "equal filters":
            filters[:, 1] = filters[:, 0]
        if self.spoil == "a zero filter":
            filters[:, 0] = 0
        if self.spoil == "an input that no filter sees":
            filters[..., 0] = 0
        if self.spoil == "ill-conditioned filters":
            filters *= torch.logspace(0, -5, self.rows, dtype=torch.float64).unsqueeze(-1)
        if self.spoil == "a zero group":
            filters[0] = 0
        return filters

    def deltas(self) -> Tensor:
        shape = (N_PROBES, N_IMAGES, self.groups, self.rows, self.positions)
        deltas = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        deltas = deltas * torch.linspace(1, 3, self.rows, dtype=torch.float64).unsqueeze(-1)
        if self.spoil == "a silent output":
            deltas[..., 0, :] = 0
        if self.spoil == "gradients of low rank":
            deltas = deltas[..., :1, :] * torch.linspace(-1, 1, self.rows, dtype=torch.float64).unsqueeze(-1)
        return deltas

    def moments(self, probed: bool = True) -> Moments:
        sums = MomentSums(self.filters(), N_PROBES if probed else 0, N_IMAGES, N_IMAGES)
        for first, images in ((0, slice(0, 2)), (2, slice(2, None))):
            for direction, deltas in enumerate(self.deltas()):
                sums.add(deltas[images].unsqueeze(0), direction, first)
        return sums.finish(N_IMAGES, N_IMAGES)


LAYERS = [
    Layer("wide, gradients kept", 1, 40, 50, 2),
    Layer("wide, products summed", 1, 8, 12, 2),
    Layer("tall, gradients kept", 1, 50, 40, 2),
    Layer("tall, products summed", 1, 12, 8, 2),
    Layer("square", 1, 9, 9, 1),
    Layer("grouped, gradients kept", 3, 20, 18, 1),
    Layer("grouped, products summed", 3, 4, 6, 2),
    Layer("depthwise", 6, 1, 9, 3),
    *(
        Layer(f"{spoil}, {kept}", 2, rows, d, positions, spoil)
        for spoil in (
            "equal filters",
            "a zero filter",
            "an input that no filter sees",
            "ill-conditioned filters",
            "a zero group",
            "a silent output",
            "gradients of low rank",
        )
        for kept, rows, d, positions in (
            ("wide, gradients kept", 20, 24, 1),
            ("wide, products summed", 6, 8, 2),
            ("tall, gradients kept", 24, 20, 1),
            ("tall, products summed", 8, 6, 2),
        )
    ),
]


@pytest.fixture(params=LAYERS, ids=lambda layer: layer.name)
def layer(request: pytest.FixtureRequest) -> Layer:
    return request.param


def agop_and_root(filters: Tensor, deltas: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Dense, from the singular values of weighted gradients of patches; weights are for each probe and image."""
    patches = torch.einsum("sngrp,grd->gsnpd", deltas, filters) * weights.sqrt()[..., None, None]
    _, lengths, vectors = torch.linalg.svd(patches.flatten(1, 3), full_matrices=False)
    return tuple((vectors.mT * lengths.unsqueeze(-2) ** power) @ vectors for power in (2, 1))


def cosine_and_pearson(a: Tensor, b: Tensor) -> list[float]:
    a, b = a.flatten(), b.flatten()
    cosine = a @ b / (a.norm() * b.norm())
    return [float(cosine), float(torch.corrcoef(torch.stack((a, b)))[0, 1])]


def four_figures(cnfm_filters: Tensor, filters: Tensor, deltas: Tensor, weights: Tensor) -> Tensor:
    cnfm = cnfm_filters.mT @ cnfm_filters
    agop, root = agop_and_root(filters, deltas, weights)
    return torch.tensor(cosine_and_pearson(cnfm, agop) + cosine_and_pearson(cnfm, root), dtype=torch.float64)


def estimates_of(comparison: Comparison) -> list[Estimate]:
    found = [comparison.cosine, comparison.pearson, comparison.cosine_half, comparison.pearson_half]
    return [estimate for estimate in found if estimate is not None]


def values_of(comparison: Comparison) -> Tensor:
    return torch.tensor([estimate.value for estimate in estimates_of(comparison)], dtype=torch.float64)


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


EVENLY = torch.ones(N_PROBES, N_IMAGES, dtype=torch.float64)


def test_gradients_are_kept_where_they_are_few(layer: Layer) -> None:
    kept = layer.moments().gradients is not None
    assert kept == (N_PROBES * N_IMAGES * layer.positions < min(layer.rows, layer.d))
    assert kept or "kept" not in layer.name


def test_the_covariance_is_the_mean_of_outer_products(layer: Layer) -> None:
    deltas = layer.deltas()
    outer = torch.einsum("sngrp,sngqp->grq", deltas, deltas)
    torch.testing.assert_close(layer.moments().covariance, outer / (N_PROBES * N_IMAGES))
    torch.testing.assert_close(layer.moments(probed=False).covariance, outer / N_IMAGES)


def test_exact_correlations_are_the_dense_ones(layer: Layer) -> None:
    expected = four_figures(layer.filters(), layer.filters(), layer.deltas(), EVENLY)
    same(values_of(compare(layer.moments(probed=False), None)), expected)


def test_correlations_from_probes_are_jackknifed_dense_ones(layer: Layer) -> None:
    filters, deltas = layer.filters(), layer.deltas()
    plain = four_figures(filters, filters, deltas, EVENLY)
    left_out = []
    for probe in range(N_PROBES):
        others = EVENLY.clone()
        others[probe] = 0
        left_out.append(four_figures(filters, filters, deltas, others))
    bias = (N_PROBES - 1) * (torch.stack(left_out).mean(0) - plain)
    found = compare(layer.moments(), None)
    same(values_of(found), (plain - bias).clamp(-1, 1))
    spread = torch.stack(left_out).std(0, correction=0) * (N_PROBES - 1) ** 0.5
    errors = [estimate.standard_error for estimate in estimates_of(found)]
    same(torch.tensor(errors, dtype=torch.float64), spread)


def test_resampled_correlations_are_dense_ones_of_resampled_images(layer: Layer) -> None:
    counts = torch.tensor([[1.0, 1, 1, 1, 1], [3, 0, 1, 0, 1]], dtype=torch.float64)
    moments = layer.moments()
    parts = moments.part_sums()
    assert parts is not None
    found = resampled(parts, moments.row_space, counts)
    for row, weights in enumerate(counts):
        expected = four_figures(layer.filters(), layer.filters(), layer.deltas(), weights.expand(N_PROBES, -1))
        same(torch.stack((found.cosine[row], found.pearson[row])), expected[:2])


def test_the_change_control_is_dense_with_the_change_of_the_filters(layer: Layer) -> None:
    start = layer.filters(seed=7)
    moved = layer.filters() - start
    expected = four_figures(moved, moved, layer.deltas(), EVENLY)
    same(values_of(controls.change(layer.moments(), start)), expected)


def test_cnfms_are_compared_as_dense_ones(layer: Layer) -> None:
    start, end = layer.filters(seed=7), layer.filters()
    expected = cosine_and_pearson(start.mT @ start, end.mT @ end)
    same(values_of(controls.between_cnfms(start, end)), torch.tensor(expected, dtype=torch.float64))


def test_effective_ranks_are_those_of_dense_matrices(layer: Layer) -> None:
    filters, moments = layer.filters(), layer.moments()
    matrices = {
        "cnfm": filters.mT @ filters,
        "agop": filters.mT @ moments.covariance @ filters,
        "delta": moments.covariance,
    }
    for name, blocks in matrices.items():
        spectrum = torch.linalg.eigvalsh(blocks).flatten()
        assert effective_ranks(moments)[name] == pytest.approx(float(spectrum.sum() ** 2 / spectrum.square().sum()))


@pytest.mark.parametrize("layer", LAYERS[:4], ids=lambda layer: layer.name)
def test_the_rotation_control_is_the_dense_average_over_random_rotations(layer: Layer) -> None:
    filters, deltas = layer.filters(), layer.deltas()
    generator = torch.Generator().manual_seed(5)
    draws = []
    for _ in range(200):
        q, triangle = torch.linalg.qr(torch.randn(layer.rows, layer.rows, generator=generator, dtype=torch.float64))
        turned = torch.einsum("qr,sngrp->sngqp", q * triangle.diagonal().sign(), deltas)
        draws.append(four_figures(filters, filters, turned, EVENLY))
    spread, mean = torch.std_mean(torch.stack(draws), 0)
    found = controls.rotated(layer.moments(), Rotations(200, torch.Generator().manual_seed(6)))
    assert ((values_of(found) - mean).abs() < 4 * spread / 100**0.5).all()
    stated = torch.tensor([estimate.standard_error for estimate in estimates_of(found)], dtype=torch.float64)
    torch.testing.assert_close(stated, spread, rtol=0.25, atol=0)


@pytest.mark.parametrize("positions", [1, 8])
def test_layers_without_gradients_or_filters_have_no_correlation(positions: int) -> None:
    layer = Layer("silent", 1, 24, 30, positions)
    nothing = torch.zeros_like(layer.deltas())
    for filters, deltas in ((layer.filters(), nothing), (torch.zeros_like(layer.filters()), layer.deltas())):
        sums = MomentSums(filters, N_PROBES, N_IMAGES, N_IMAGES)
        sums.add(deltas, 0, 0)
        moments = sums.finish(N_IMAGES, N_IMAGES)
        for comparison in (compare(moments, None), controls.rotated(moments, Rotations(2, torch.Generator()))):
            assert values_of(comparison).isnan().all()


def test_a_layer_that_no_output_reaches_has_gradient_zero() -> None:
    moments = MomentSums(Layer("unreached", 1, 4, 6, 1).filters(), 0, 3, 3).finish(3, 3)
    assert (moments.covariance == 0).all()
    assert values_of(compare(moments, None)).isnan().all()


def test_without_the_root_only_the_power_one_is_compared(layer: Layer) -> None:
    moments = layer.moments()
    for taken, all_four in (
        (compare(moments, None, half_power=False), compare(moments, None)),
        (controls.change(moments, layer.filters(7), half_power=False), controls.change(moments, layer.filters(7))),
    ):
        assert taken.cosine_half is taken.pearson_half is None
        assert (taken.cosine, taken.pearson) == (all_four.cosine, all_four.pearson)
