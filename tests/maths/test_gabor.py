"""Oriented derivatives explain themselves in any color, see no constants, and little of random directions."""

import math

import pytest
import torch

from convrfm.maths.gabor import best_filters, derivative_share, oriented_derivatives


@pytest.mark.parametrize("size", [3, 7])
def test_filters_are_odd_units(size: int) -> None:
    filters = oriented_derivatives(size)
    torch.testing.assert_close(filters.square().sum((1, 2)), torch.ones(len(filters), dtype=torch.float64))
    torch.testing.assert_close(filters.flip(1, 2), -filters)


def test_a_quarter_turn_of_the_family_is_the_family() -> None:
    filters = oriented_derivatives(5).flatten(1)
    turned = oriented_derivatives(5).rot90(1, (1, 2)).flatten(1)
    torch.testing.assert_close((turned @ filters.T).abs().amax(1), torch.ones(len(filters), dtype=torch.float64))


def test_a_filter_in_any_color_is_explained_and_a_constant_is_not() -> None:
    color = torch.tensor([0.6, -0.8, 0.0], dtype=torch.float64)
    edge = torch.outer(color, oriented_derivatives(5)[7].flatten()).flatten()
    flat = torch.full((75,), 75**-0.5, dtype=torch.float64)
    mixed = torch.outer(edge, edge) + 3 * torch.outer(flat, flat)
    assert derivative_share(torch.outer(edge, edge), (3, 5, 5)) == pytest.approx(1)
    assert derivative_share(mixed, (3, 5, 5)) == pytest.approx(0.25, abs=1e-9)


def test_the_best_single_filter_is_searched_eigenvector_by_eigenvector() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(25, 30, generator=generator, dtype=torch.float64)
    matrix = matrix @ matrix.T
    values, vectors = torch.linalg.eigh(matrix)
    filters = oriented_derivatives(5)
    explained = [max(float((v.reshape(5, 5) * g).sum()) ** 2 for g in filters) for v in vectors.T[-4:]]
    expected = sum(float(l) * e for l, e in zip(values[-4:], explained, strict=True)) / float(values[-4:].sum())  # noqa: E741
    assert derivative_share(matrix, (1, 5, 5), 4) == pytest.approx(expected)


@pytest.mark.parametrize(("size", "degrees"), [(3, 0), (5, 90), (7, 45), (7, 135)])
def test_the_angle_is_that_along_which_a_ramp_rises(size: int, degrees: int) -> None:
    """A ramp cos(angle) column + sin(angle) row has its gradient there; a constant beside it changes nothing."""
    place = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    angle = math.radians(degrees)
    ramp = math.cos(angle) * place + math.sin(angle) * place[:, None]
    ramp = ramp / ramp.norm()
    found = best_filters(torch.stack([ramp, torch.full_like(ramp, 1 / size)]).unsqueeze(1))
    assert float(found.angles[0]) == pytest.approx(angle)
    assert found.explained[0] > 0.75
    assert found.explained[1] < 1e-9
