"""Block sizes: what was measured on a card serves it, the bits stay, and what cannot be read harms nothing."""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton")

from convrfm import kernels
from convrfm.kernels.engines.cuda import engine, tuning
from convrfm.kernels.engines.cuda.blocks import MEASURED, PROGRAMS, WARPS, Blocks, Cuts, cuts_file, keep_warps
from convrfm.kernels.engines.cuda.strips import launch_now
from convrfm.kernels.engines.cuda.tuning import SWITCH, Timing, Trial, cuts_of, fastest, timings

FOUND = {"forward": 1, "step": 8, "backward": 2}
measured_now = cuts_of.__wrapped__  # what a new process does


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for what is kept."""
    monkeypatch.setenv("CONVRFM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def measurements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A card on which the warps of `FOUND` are the fastest; how often it was measured."""
    made: list[str] = []

    def timed(trial: object) -> Iterator[Timing]:
        made.append("measured")
        for program in PROGRAMS:
            for warps in WARPS:
                yield Timing(program, warps, 1.0 if warps == FOUND[program] else 2.0)

    monkeypatch.setattr(tuning, "Trial", lambda device: None)
    monkeypatch.setattr(tuning, "timings", timed)
    return made


def test_a_card_is_measured_at_its_first_use_and_never_again(cache: Path, measurements: list[str]) -> None:
    assert measured_now("one card") == MEASURED.of_warps(FOUND)
    assert measured_now("one card") == MEASURED.of_warps(FOUND)
    assert measurements == ["measured"]
    keep_warps("another card", {**FOUND, "step": 2})
    assert measured_now("one card").step == Blocks(12, 256, 8)
    assert measured_now("another card").step == Blocks(12, 64, 2)
    assert list(cache.iterdir()) == [cuts_file()]


def test_the_switch_keeps_anything_from_being_measured(
    cache: Path, measurements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, "off")
    assert measured_now("a card") == MEASURED
    assert not measurements
    assert not cache.exists()


@pytest.mark.parametrize(
    "text", ["", "[]", '{"card": 1}', '{"card": {"forward": 4}}', '{"card": {"forward": 3, "step": 4, "backward": 4}}']
)
def test_a_damaged_file_costs_a_measurement_and_is_mended(
    cache: Path, measurements: list[str], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache.mkdir()
    cuts_file().write_text(text)
    with caplog.at_level(logging.WARNING, "convrfm"):
        assert measured_now("card") == MEASURED.of_warps(FOUND)
        assert "damaged" in caplog.text or "cannot be read" in caplog.text
        assert measured_now("card") == MEASURED.of_warps(FOUND)
    assert measurements == ["measured"]


def test_what_cannot_be_kept_is_said(cache: Path, measurements: list[str], caplog: pytest.LogCaptureFixture) -> None:
    cache.write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING, "convrfm"):
        assert measured_now("card") == MEASURED.of_warps(FOUND)
    assert "are not kept" in caplog.text


def instant(work: Callable[[], None]) -> float:
    work()
    return 1.0


@pytest.mark.filterwarnings("ignore:divide by zero")
def test_every_program_is_tried_with_every_number_of_warps() -> None:
    trial = Trial(torch.device("cuda" if torch.cuda.is_available() else "cpu"), counts=(1, 2), side=7)
    tried = [(timing.program, timing.warps) for timing in timings(trial, 600.0, instant)]
    assert sorted(tried) == sorted((program, warps) for program in PROGRAMS for warps in WARPS)


def test_what_does_not_run_is_left_out_and_of_equals_the_first_is_taken() -> None:
    def trial(program: str, warps: int, launch: Callable[..., None] = launch_now) -> None:
        if warps == WARPS[0] and launch is launch_now:
            raise RuntimeError("out of resources")

    assert fastest(timings(trial, 600.0, instant)) == dict.fromkeys(PROGRAMS, WARPS[1])


def test_what_is_not_compiled_in_time_is_left_out() -> None:
    released = threading.Event()
    try:
        assert list(timings(lambda *way: released.wait(), 0.0, instant)) == []
    finally:
        released.set()


@pytest.mark.filterwarnings("ignore:divide by zero")
def test_the_number_of_lanes_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = kernels.NTK(kernels.vanilla(2), engine="cuda")
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 1, 5, 5, generator=generator).to("cuda" if torch.cuda.is_available() else "cpu")
    coef = torch.ones(3, 1).to(x)
    results = []
    for lanes in (1, 2, 4):
        cut = Blocks(2, lanes, 1)
        monkeypatch.setattr(engine, "cuts_here", lambda cut=cut: Cuts(cut, cut, cut))
        results.append((kernel(x), kernel.agop(x, x, coef)))
    for found in results[1:]:
        assert all(map(torch.equal, found, results[0]))


@pytest.mark.parametrize("rows", range(1, 40))
def test_strips_are_even_and_no_larger_than_asked_for(rows: int) -> None:
    cut = Blocks(9, 128, 4).within(rows).rows
    strips = -(-rows // cut)
    assert cut <= 9
    assert strips == -(-rows // 9)
    assert strips * cut - rows < strips
