"""Window means against loops, and their transposes against inner products."""

import itertools

import pytest
import torch

from convrfm.maths.window_means import EACH_OF_A_PAIR, POSITION_PAIRS, POSITIONS, window_mean, window_mean_transpose
from convrfm.maths.windows import Window

WINDOWS = [Window(q, s, p) for q, s, p in itertools.product((1, 2, 3), (1, 2), ("valid", "same", "circular"))]
every_window = pytest.mark.parametrize("window", WINDOWS, ids=str)
ROWS, COLS = 5, 4


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@every_window
def test_a_window_mean_is_the_mean_over_shifted_positions(window: Window) -> None:
    field, mean = draw(ROWS, COLS), None
    mean = window_mean(field, window, POSITIONS)
    (top, _), (left, _) = window.margins(ROWS), window.margins(COLS)
    for r, c in itertools.product(*map(range, mean.shape)):
        total = 0.0
        for i, j in itertools.product(range(window.size), repeat=2):
            row, col = r * window.stride + i - top, c * window.stride + j - left
            if window.padding == "circular":
                total += float(field[row % ROWS, col % COLS])
            elif 0 <= row < ROWS and 0 <= col < COLS:
                total += float(field[row, col])
        assert float(mean[r, c]) == pytest.approx(total / window.size**2)


@every_window
def test_the_least_length_has_so_many_positions_and_one_less_has_fewer(window: Window) -> None:
    for positions in (1, 2, 5):
        least = window.least_length(positions)
        assert window.output_length(least) == positions
        shorter = least - 1
        assert (shorter < window.size and window.padding == "valid") or window.output_length(shorter) < positions


@every_window
def test_on_pairs_of_positions_both_shift_together(window: Window) -> None:
    x, z = draw(ROWS, COLS), draw(ROWS, COLS, seed=1)
    pairs = window_mean(torch.einsum("pq,rs->pqrs", x, z), window, POSITION_PAIRS)
    diagonal = pairs.diagonal(dim1=0, dim2=2).diagonal(dim1=0, dim2=1)
    torch.testing.assert_close(diagonal, window_mean(x * z, window, POSITIONS))


def test_pooling_averages_each_position_of_a_pair_by_itself() -> None:
    x, z, pool = draw(ROWS, COLS), draw(ROWS, COLS, seed=1), Window(2, 2)
    pooled = window_mean(torch.einsum("pq,rs->pqrs", x, z), pool, EACH_OF_A_PAIR)
    means = [torch.nn.functional.avg_pool2d(image[None], 2)[0] for image in (x, z)]
    torch.testing.assert_close(pooled, torch.einsum("pq,rs->pqrs", *means))


@every_window
@pytest.mark.parametrize("groups", [POSITIONS, POSITION_PAIRS, EACH_OF_A_PAIR], ids=["positions", "pairs", "each"])
def test_the_transpose_has_the_same_inner_products(window: Window, groups: tuple[tuple[int, ...], ...]) -> None:
    shape = (ROWS, COLS) if groups is POSITIONS else (ROWS, COLS, ROWS, COLS)
    lengths = [shape[group[0]] for group in groups]
    a = draw(*shape)
    forward = window_mean(a, window, groups)
    b = draw(*forward.shape, seed=1)
    back = window_mean_transpose(b, window, groups, lengths)
    torch.testing.assert_close((forward * b).sum(), (a * back).sum())
