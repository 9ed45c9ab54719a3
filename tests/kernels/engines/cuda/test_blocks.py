"""Block sizes: what was measured on a card serves it; what cannot be read harms nothing."""

from pathlib import Path

import pytest

pytest.importorskip("triton")

from benchmarks.gpu.tuning import keep
from convrfm.kernels.engines.cuda.blocks import MEASURED, Blocks, Cuts, cuts_file, cuts_of

FOUND = {"forward": (9, 128, 4), "step": (6, 256, 4), "backward": (2, 64, 2)}


def test_what_tuning_keeps_is_what_the_engine_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVRFM_CACHE", str(tmp_path / "cache"))
    keep("one card", FOUND)
    keep("another card", {**FOUND, "step": (4, 128, 4)})
    assert cuts_of("one card", cuts_file()) == Cuts(**{name: Blocks(*numbers) for name, numbers in FOUND.items()})
    assert cuts_of("another card", cuts_file()).step == Blocks(4, 128, 4)
    assert cuts_of("a third card", cuts_file()) == MEASURED


UNREADABLE = ["", "[]", '{"card": 1}', '{"card": {"forward": [1]}}', '{"card": {"x": [1, 2, 3]}}']


@pytest.mark.parametrize("text", UNREADABLE)
def test_a_file_that_says_nothing_changes_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "blocks.json").write_text(text)
    assert cuts_of("card", tmp_path / "blocks.json") == MEASURED


@pytest.mark.parametrize("rows", range(1, 40))
def test_strips_are_even_and_no_larger_than_asked_for(rows: int) -> None:
    cut = Blocks(9, 128, 4).within(rows).rows
    strips = -(-rows // cut)
    assert cut <= 9
    assert strips == -(-rows // 9)
    assert strips * cut - rows < strips
