"""The AGOP of every kind of layer is that of unfolding its patches and differentiating by them."""

import pytest
import torch
from torch import Tensor, nn

from convrfm import cnfa

from .cases import CASES, Case
from .oracle import oracle_agop

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")


def diagonal_blocks(matrix: Tensor, groups: int) -> Tensor:
    if groups == 1:
        return matrix
    d = len(matrix) // groups
    return torch.stack([matrix[g * d : (g + 1) * d, g * d : (g + 1) * d] for g in range(groups)])


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def test_measured_agop_is_that_of_free_patches(case: Case) -> None:
    network, images = case.network(), case.images()
    report = cnfa.measure(network, images, rotations=0, resamples=0)
    for name in case.layers:
        expected = oracle_agop(network, images, network.get_submodule(name))
        expected = diagonal_blocks(expected, report[name].groups)
        torch.testing.assert_close(report[name].agop, expected, rtol=1e-10, atol=1e-10 * float(expected.abs().max()))


def test_whole_agop_keeps_the_blocks_between_groups(case: Case) -> None:
    network, images = case.network(), case.images()
    for name in case.layers:
        expected = oracle_agop(network, images, network.get_submodule(name))
        measured = cnfa.patch_agop(network, images, layer=name, whole=True)
        torch.testing.assert_close(measured, expected, rtol=1e-10, atol=1e-10 * float(expected.abs().max()))


def test_cnfm_is_the_gram_matrix_of_flattened_filters(case: Case) -> None:
    network = case.network()
    report = cnfa.measure(network, case.images(), rotations=0, resamples=0)
    for name in case.layers:
        layer = network.get_submodule(name)
        if isinstance(layer, nn.Conv2d) and layer.groups == 1:
            filters = layer.weight.flatten(1)
            torch.testing.assert_close(report[name].cnfm, filters.T @ filters)


def test_pieces_batches_and_vectorised_outputs_change_nothing(case: Case) -> None:
    network, images = case.network(), case.images(5)
    once = cnfa.measure(network, images, rotations=0, resamples=0)
    streamed = cnfa.measure(network, [images[:2], (images[2:], "labels")], rotations=0, resamples=0, memory_budget=1)
    for layer in once.layers:
        torch.testing.assert_close(streamed[layer.name].covariance, layer.covariance)


def test_correlations_are_those_of_the_matrices_of_patches(case: Case) -> None:
    report = cnfa.measure(case.network(), case.images(), rotations=0, resamples=0)
    for layer in report.layers:
        cnfm, agop = layer.cnfm, layer.agop
        values, vectors = torch.linalg.eigh(agop)
        half = (vectors * values.clamp(min=0).sqrt().unsqueeze(-2)) @ vectors.mT
        trained = layer.correlations.trained
        if layer.final:
            assert trained.cosine.value == pytest.approx(1)
            continue
        for matrix, cosine, pearson in (
            (agop, trained.cosine, trained.pearson),
            (half, trained.cosine_half, trained.pearson_half),
        ):
            a, b = cnfm.flatten(), matrix.flatten()
            assert cosine.value == pytest.approx(float(a @ b / (a.norm() * b.norm())), abs=1e-7)
            assert pearson.value == pytest.approx(float(torch.corrcoef(torch.stack((a, b)))[0, 1]), abs=1e-7)
