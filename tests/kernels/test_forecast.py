"""A kernel's forecast is its own time at small sizes, carried on."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from convrfm import kernels
from convrfm.errors import InputError
from convrfm.kernels import growth
from convrfm.kernels.forecast import Forecast, images_to_time
from convrfm.kernels.growth import Pairs, Powers, measured_pairs, measured_powers, timed_by
from convrfm.kernels.kernel_tiles import KernelTiles


class Clock:
    """Seconds that were worked, and those in which other programs had the processors."""

    now, held_up = 0.0, 0.0


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth.time, "perf_counter", lambda: Clock.now + Clock.held_up)
    monkeypatch.setattr(growth.time, "process_time", lambda: Clock.now)


@dataclass(frozen=True)
class Timed(kernels.Laplace):
    """A kernel that takes ten microseconds for each pair, a hundred for a gradient."""

    def matrix(self, x: Tensor, z: Tensor | None, *_: Any) -> Tensor:
        assert z is not None
        Clock.now += 1e-5 * len(x) * (-(-len(z) // 32) * 32)
        return x.new_ones(len(x), len(z))

    def agop(self, x: Tensor, z: Tensor, dual_coef: Tensor, **_: Any) -> Tensor:
        Clock.now += 1e-4 * dual_coef.shape[1] * len(x) * (-(-len(z) // 32) * 32)
        return x.new_ones(9, 9)


@pytest.mark.usefixtures("clocked")
def test_a_forecast_is_of_all_pairs_and_of_half_of_them_where_the_others_mirror_them() -> None:
    kernel = Timed(3)
    assert kernel.forecast(640, 320, (1, 8, 8)).seconds == pytest.approx(1e-5 * 640 * 320)
    assert kernel.forecast(640, None, (1, 8, 8)).seconds == pytest.approx(1e-5 * 640 * (640 + 32) / 2)
    assert kernel.forecast(640, 320, (1, 8, 8), outputs=2).seconds == pytest.approx(1e-4 * 2 * 640 * 320)


@pytest.mark.usefixtures("clocked")
@pytest.mark.parametrize("z", [None, torch.ones(64, 1, 8, 8)])
def test_tiles_take_what_their_pairs_take(z: Tensor | None) -> None:
    tiles = KernelTiles(Timed(3), torch.ones(160, 1, 8, 8), z, None, side=64)
    last = 32 * (32 + 32) / 2 if z is None else 32 * 64
    assert tiles.seconds([tiles.layout.places[-1]]) == pytest.approx(1e-5 * last)
    whole = 2 * 64 * (64 + 32) / 2 + 64 * 64 + 2 * 64 * 32 + last if z is None else 2 * 64 * 64 + last
    assert tiles.seconds(tiles.layout.places) == pytest.approx(1e-5 * whole)
    assert tiles.seconds([]) == 0


@pytest.mark.usefixtures("clocked")
def test_bytes_are_those_of_the_result_and_of_the_budget() -> None:
    kernel = Timed(3, memory_budget=1 << 20)
    assert kernel.forecast(50_000, 10_000, (1, 8, 8)).bytes == 50_000 * 10_000 * 4 + (1 << 20)
    assert kernel.forecast(100, 100, (1, 8, 8), outputs=3).bytes == 1 << 20
    assert kernel.forecast(50, 10, (1, 8, 8), dtype=torch.float64).bytes == 50 * 10 * 8 + (1 << 20)


@pytest.mark.usefixtures("clocked")
def test_small_runs_are_in_the_precision_that_is_asked_for() -> None:
    with pytest.raises(InputError, match="dtype must be"):
        Timed(3).forecast(100, 100, (1, 8, 8), dtype=torch.float16)
    assert images_to_time((1, 8, 8), 4, 0, torch.device("cpu"), torch.float64).dtype == torch.float64


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize("count", [0, -1, 2.0, True, "5", 10**30, 10**400])
@pytest.mark.parametrize("what", ["n", "m", "outputs"])
def test_counts_that_are_none_are_refused(what: str, count: Any) -> None:
    counts: dict[str, Any] = {"n": 5, "m": 5} | {what: count}
    with pytest.raises(InputError, match=f"{what} must be (a positive integer|at most 9e)"):
        kernels.Laplace(3).forecast(image_shape=(1, 8, 8), **counts)


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((8, 8), "image_shape must be (channels, height, width)"),
        (8, "image_shape must be (channels, height, width)"),
        ((1, 8.0, 8), "each of image_shape (channels, height, width) must be a positive integer"),
        ((1, 0, 8), "each of image_shape (channels, height, width) must be a positive integer"),
        ((1, 2, 2), "needs at least 3 positions"),
        ((3, 10**6, 10**6), "a forecast times 5 images; of 3 x 1000000 x 1000000 numbers"),
    ],
)
def test_shapes_that_are_none_or_beyond_memory_are_refused(shape: Any, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        kernels.Laplace(3).forecast(5, 5, shape)


@pytest.mark.usefixtures("as_a_user")
def test_outputs_and_devices_that_cannot_be_tried_are_refused() -> None:
    with pytest.raises(InputError, match="with 1000000000000 outputs, they take"):
        kernels.Laplace(3).forecast(5, 5, (1, 8, 8), outputs=10**12)
    with pytest.raises(InputError, match="device must be"):
        kernels.Laplace(3).forecast(5, 5, (1, 8, 8), device="gpu")


@pytest.mark.usefixtures("clocked")
def test_a_thousand_million_images_are_told_in_years() -> None:
    forecast = Timed(3).forecast(10**9, 10**9, (1, 8, 8))
    assert forecast.seconds == pytest.approx(1e-5 * 10**18, rel=1e-6)
    assert str(forecast) == "about 316,881 years and 3,552.7 PiB"


@pytest.mark.usefixtures("clocked")
def test_the_law_of_pairs_is_found_and_runs_stay_short() -> None:
    runs, start = list[tuple[int, int]](), Clock.now

    def compute(n: int, m: int) -> Tensor:
        runs.append((n, m))
        Clock.now += 1e-3 * n + 2e-4 * m + 1e-6 * n * (-(-m // 32) * 32)
        return torch.ones(1)

    law = measured_pairs(compute, 5000, 300, alike=False, timed=1000, patience=0.1)
    assert (law.left, law.right, law.pair) == pytest.approx((1e-3, 2e-4, 1e-6), rel=1e-4)
    assert law.seconds(5000, 300) == pytest.approx(5 + 0.06 + 1e-6 * 5000 * 320)
    assert max(n for n, _ in runs) <= 1000
    assert max(m for _, m in runs) <= 300
    assert Clock.now - start < 10


@pytest.mark.parametrize("per_pair", [1e-3, 1e-5])
@pytest.mark.usefixtures("clocked")
def test_few_images_tell_what_an_image_takes_beside_its_pairs(per_pair: float) -> None:
    """What is slow is run a few times with two images on the left: neither term of the law stands for the other."""
    runs = list[tuple[int, int]]()

    def compute(n: int, m: int) -> Tensor:
        runs.append((n, m))
        Clock.now += 0.02 * n + 0.02 * m + per_pair * n * (-(-m // 32) * 32)
        return torch.ones(1)

    law = measured_pairs(compute, 300, 300, alike=True, timed=64, patience=0.02)
    in_pairs = sum(-(-m // 32) * 32 for m in range(1, 301))  # each image with itself and those after it
    assert law.symmetric_seconds(300) == pytest.approx(0.02 * 300 + per_pair * in_pairs, rel=1e-3)
    assert sum(n * m for n, m in runs) <= 4 * 32
    law = measured_pairs(compute, 300, 300, alike=False, timed=64, patience=0.02)
    assert law.seconds(300, 320) == pytest.approx(0.02 * 620 + per_pair * 300 * 320, rel=1e-3)
    assert max(runs) <= (2, 64)


@pytest.mark.parametrize("n", [640, 5000])
@pytest.mark.usefixtures("clocked")
def test_pairs_are_told_apart_from_images_that_take_most_of_small_runs(n: int) -> None:
    """As under a metric on patches of many channels, with times that scatter by a tenth; of five looks the middle one."""
    image, pair = 6.3e-3, 6e-5
    told = []
    for seed in range(5):
        noise = np.random.default_rng(seed)

        def compute(left: int, right: int, noise: np.random.Generator = noise) -> Tensor:
            seconds = image * (left + right) + pair * left * (-(-right // 32) * 32)
            Clock.now += seconds * (1 + 0.1 * abs(noise.standard_normal()))
            return torch.ones(1)

        law = measured_pairs(compute, n, n, alike=True, timed=512, patience=growth.ROUGHLY)
        told.append(law.symmetric_seconds(n))
    right = Pairs(0.0, image, image, pair).symmetric_seconds(n)
    assert right / 1.25 < sorted(told)[2] < 1.25 * right
    assert right / 2 < min(told) <= max(told) < 2 * right


@pytest.mark.usefixtures("clocked")
@pytest.mark.parametrize("power", [2, 3])
def test_a_run_that_was_held_up_is_not_carried_on_alone(power: int) -> None:
    """As a small regression beside programs that keep all cores busy: 0.3 s in place of a hundredth of that."""
    held_up = iter([0.0, 0.3])

    def compute(n: int) -> Tensor:
        Clock.now += 1e-2 * (n / 640) ** power + next(held_up, 0.0)
        return torch.ones(1)

    law = measured_powers(compute, (2, 3), first=64, largest=1024, patience=growth.THOROUGHLY)
    assert law.seconds(640) < 1


@pytest.mark.usefixtures("clocked")
def test_runs_that_others_hold_up_one_more_than_the_next_tell_how_they_work_and_the_pace_of_all() -> None:
    """As beside four times as many programs as processors: the clock alone told 500 pairs as what any call takes, or more."""
    told = []
    for seed in range(20):
        waits = np.random.default_rng(seed)

        def compute(n: int, m: int, waits: np.random.Generator = waits) -> Tensor:
            work = 0.01 + 1e-4 * n * (-(-m // 32) * 32)
            Clock.now += work
            Clock.held_up += waits.exponential(0.5) + 3 * work
            return torch.ones(1)

        law = measured_pairs(compute, 5000, 500, alike=False, timed=1000, patience=growth.THOROUGHLY)
        told.append(law.seconds(5000, 500))
    right = 4 * 1e-4 * 5000 * 512
    assert right / 1.1 < min(told) <= max(told) < 4 * right


@pytest.mark.usefixtures("clocked")
def test_what_any_call_takes_is_not_told_again_for_every_image() -> None:
    """As where a metric is factorized first: small runs take little else."""

    def compute(n: int, m: int) -> Tensor:
        Clock.now += 0.3 + 0.01 * m + 0.03 * n + 4e-4 * n * (-(-m // 32) * 32)
        return torch.ones(1)

    start = Clock.now
    law = measured_pairs(compute, 300, 320, alike=False, timed=256, patience=growth.ROUGHLY)
    assert law.seconds(300, 320) == pytest.approx(0.3 + 3.2 + 9 + 4e-4 * 300 * 320, rel=1e-3)
    assert Clock.now - start < 10
    law = measured_pairs(compute, 300, 320, alike=False, timed=256, patience=growth.THOROUGHLY)
    assert law.seconds(300, 320) == pytest.approx(0.3 + 3.2 + 9 + 4e-4 * 300 * 320, rel=1e-3)


@pytest.mark.usefixtures("clocked")
def test_runs_may_be_timed_by_a_clock_that_other_programs_do_not_move() -> None:
    worked = [0.0]

    def compute(n: int) -> Tensor:
        worked[0] += 1e-3 * n
        Clock.now += 5e-3 * n  # of which others had four fifths
        return torch.ones(1)

    with timed_by(lambda: worked[0]):
        assert measured_powers(compute, (1,), first=1, largest=9, patience=1.0).seconds(10) == pytest.approx(0.01)
    assert measured_powers(compute, (1,), first=1, largest=9, patience=1.0).seconds(10) == pytest.approx(0.05)


@pytest.mark.usefixtures("clocked")
def test_the_law_of_powers_is_found() -> None:
    def compute(n: int) -> Tensor:
        Clock.now += 1e-6 * n**2 + 3e-9 * n**3
        return torch.ones(1)

    law = measured_powers(compute, (2, 3), first=16, largest=4000, patience=0.5)
    assert law.coefficients == pytest.approx({2: 1e-6, 3: 3e-9}, rel=1e-4)
    assert Powers({1: 2.0, 2: 3.0}).seconds(10) == 320


def test_a_forecast_is_readable() -> None:
    assert str(Forecast(3725.0, 3 * 2**30)) == "about 1 h 2 min and 3.0 GiB"
    assert str(Forecast(65.0, 2**20)) == "about 1 min 5 s and 1 MiB"
    assert str(Forecast(0.1, 2**20)) == "about 1 s and 1 MiB"
