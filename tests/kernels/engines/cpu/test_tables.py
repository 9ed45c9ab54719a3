"""The tables that compiled code reads are window means and their transposes."""

import pytest
import torch

from convrfm.kernels.engines.cpu.tables import gathered_places, run_of_threes, transposed_places
from convrfm.maths.window_means import window_mean, window_mean_transpose
from convrfm.maths.windows import Window

WINDOWS = [
    Window(size, stride, padding)
    for size in (1, 2, 3, 5)
    for stride in (1, 2)
    for padding in ("valid", "same", "circular")
]
every_window = pytest.mark.parametrize("window", WINDOWS, ids=str)
LENGTH = 7


@every_window
def test_tables_gather_what_a_window_sums(window: Window) -> None:
    field = torch.randn(LENGTH, dtype=torch.float64)
    gathered = torch.stack([field[places].sum() for places in gathered_places(window, LENGTH)])
    torch.testing.assert_close(gathered / window.size, window_mean(field, window, ((-1,),)))


@every_window
def test_transposed_tables_gather_what_the_transpose_spreads(window: Window) -> None:
    table = transposed_places(gathered_places(window, LENGTH), LENGTH)
    field = torch.randn(window.output_length(LENGTH), dtype=torch.float64)
    spread = torch.stack([field[places].sum() for places in table])
    torch.testing.assert_close(spread / window.size, window_mean_transpose(field, window, ((-1,),), (LENGTH,)))


@every_window
def test_runs_of_threes_slide_by_one(window: Window) -> None:
    gathered = gathered_places(window, LENGTH)
    start, stop = run_of_threes(gathered)
    for place in range(start, stop):
        assert gathered[place] == [gathered[start][0] + place - start + k for k in range(3)]
    assert (stop > start) == any(len(g) == 3 and g[2] == g[0] + 2 for g in gathered)
