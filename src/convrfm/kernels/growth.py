"""How the time of a computation grows with its size, found out by small runs of it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import inf

import numpy as np
from scipy.optimize import nnls
from torch import Tensor

from .threads import one_torch_thread

# seconds of patience: a run that is expected to take longer is not tried,
AT_A_GLANCE, ROUGHLY, THOROUGHLY = 0.02, 0.2, 0.8
WORTH_IT = 0.1  # unless it is as small a share of the whole,
TOO_LONG = 12  # and no longer than so many times the patience
SHORT, REPEATED = 0.1, 2  # seconds; a run this short is timed so often again,
HELD_UP = 0.5  # and one this short once again: other programs may have held it up
SMALLEST = (4, 32)  # images on either side of the pairs that are timed first; one on the left where that is slow
FEWEST = 3  # runs from which a law is learned: as many as it has terms but for what any call takes
APART = 2  # runs more than terms, from which what any call takes is told apart from what its images take
GROWN = 3  # times as long as the first run the last one is: in shorter ones what any call takes counts for too much
MOSTLY_IMAGES = 0.5  # of a run's time its images take in hardly any pairs, where pairs are to be told apart from them
SIDE_BY_SIDE = 32  # images of the right side that engines compute together, whether or not there are as many
UNEXPLAINED = 0.05  # of a run's time in the mean: a law that tells no more of runs by the clock
BETTER = 0.5  # gives way to one of what this process worked that leaves so much less


_clock: ContextVar[Callable[[], float] | None] = ContextVar("clock", default=None)
_end: ContextVar[float] = ContextVar("end", default=inf)
_whole: ContextVar[tuple[int, int] | None] = ContextVar("whole", default=None)


@dataclass(frozen=True)
class Run:
    """Seconds that a run took, and those that this process worked meanwhile, in all of its threads."""

    took: float
    worked: float


@contextmanager
def timed_by(clock: Callable[[], float]) -> Iterator[None]:
    """Within it, runs are timed by this clock."""
    token = _clock.set(clock)
    try:
        yield
    finally:
        _clock.reset(token)


@contextmanager
def timed_by_the_processor() -> Iterator[None]:
    """Within it, runs are timed by what this process works, whatever else goes on.

    Torch has one thread, and work is shared between several such: torch's own would wait for each other in a spin that counts.
    """
    with timed_by(time.process_time), one_torch_thread():
        yield


@contextmanager
def given_up_after(seconds: float) -> Iterator[None]:
    """Within it, a run that would begin later than so many seconds from now raises `TimeoutError` in its place."""
    token = _end.set(time.perf_counter() + seconds)
    try:
        yield
    finally:
        _end.reset(token)


@contextmanager
def timed_as_part_of(n: int, m: int) -> Iterator[None]:
    """Within it, what is computed of a few images is computed as n of them with m others would be."""
    token = _whole.set((n, m))
    try:
        yield
    finally:
        _whole.reset(token)


def whole_of(n: int, m: int) -> tuple[int, int]:
    """The numbers of images by which to choose how n of them with m others are computed."""
    return _whole.get() or (n, m)


@dataclass(frozen=True)
class Powers:
    """Seconds as a sum of powers of a size, each with its coefficient."""

    coefficients: Mapping[int, float]

    def seconds(self, size: int) -> float:
        """What this size takes."""
        return sum(coefficient * size**power for power, coefficient in self.coefficients.items())


@dataclass(frozen=True)
class Pairs:
    """Seconds of any call (a metric is factorized), for each image on the left, on the right, and for each pair of them."""

    fixed: float
    left: float
    right: float
    pair: float

    def seconds(self, n: int, m: int) -> float:
        """What n images take with m others."""
        return self.fixed + self.left * n + self.right * m + self.pair * n * _filled_up(m)

    def symmetric_seconds(self, n: int) -> float:
        """What n images take with themselves, where each is read in once, and half of the pairs mirror the others."""
        whole, rest = divmod(n, SIDE_BY_SIDE)
        # each image with itself and those after it, side by side
        rows = SIDE_BY_SIDE * whole * (whole + 1) // 2 + rest * (whole + 1)
        return self.fixed + (self.left + self.right) / 2 * n + self.pair * rows * SIDE_BY_SIDE


def measured_powers(
    compute: Callable[[int], Tensor], powers: Sequence[int], *, first: int, largest: int, patience: float
) -> Powers:
    """The coefficients, none of them negative, that explain the times of sizes from `first` on to `largest` at most.

    A first run is not counted: it may compile. One that other programs held up is not carried on alone: there are a few sizes,
    where the last one did not take long by itself.
    """
    sizes, runs = [min(first, largest)], list[Run]()
    compute(sizes[0])
    while True:
        runs.append(_quickest(lambda: compute(sizes[-1])))
        following = runs[-1].took * 2 ** max(powers)
        enough = len(sizes) >= FEWEST and runs[-1].took >= GROWN * runs[0].took
        if sizes[-1] == largest or following > (patience if enough else TOO_LONG * patience):
            break
        sizes.append(min(2 * sizes[-1], largest))
    terms = np.array(sizes, dtype=float)[:, None] ** np.array(powers)
    return Powers(dict(zip(powers, _coefficients(terms, runs), strict=True)))


def measured_pairs(
    compute: Callable[[int, int], Tensor], n: int, m: int, *, alike: bool, timed: int, patience: float
) -> Pairs:
    """The law of a computation on n images and m others, from runs of more and more of them.

    A first run is not counted: it may compile.

    Args:
        compute: what is timed, at so many images on either side.
        n, m: the size that matters: runs go on while they take a small share of what that takes.
        alike: whether an image on the left costs what one on the right does.
        timed: how many images there are to be timed, on either side.
        patience: seconds of a run.
    """
    with timed_as_part_of(n, m):
        return _pairs_law_of_runs(compute, n, m, alike=alike, most=(min(n, timed), min(m, timed)), patience=patience)


def _pairs_law_of_runs(
    compute: Callable[[int, int], Tensor], n: int, m: int, *, alike: bool, most: tuple[int, int], patience: float
) -> Pairs:
    """As `measured_pairs`, of at most so many images on either side."""
    right = min(SMALLEST[1], most[1])
    _once(lambda: compute(1, right))
    one = _quickest(lambda: compute(1, right))
    slow = SMALLEST[0] * one.took > TOO_LONG * patience
    shape = (1 if slow else min(SMALLEST[0], most[0]), right)
    shapes, runs = list[tuple[int, int]](), list[Run]()
    while True:
        shapes.append(shape)
        runs.append(one if shape == (1, right) else _quickest(lambda: compute(*shapes[-1])))
        law = _pairs_law(shapes, runs, alike=alike)
        longer, wider = (min(2 * shape[0], most[0]), shape[1]), (shape[0], min(2 * shape[1], most[1]))
        following = longer if wider == shape or (len(shapes) % 2 and longer != shape) else wider
        expected = law.seconds(*following)
        worth_it = expected < patience or expected < min(TOO_LONG * patience, WORTH_IT * law.seconds(n, m))
        enough = len(shapes) >= (2 if alike and slow else FEWEST)
        if enough and runs[-1].took < GROWN * one.took:
            worth_it = expected < TOO_LONG * patience
        if following == shape or (enough and not worth_it):
            break
        shape = following
    if slow or not alike:
        return law
    for apart in _apart(sum(shape), most):
        shapes.append(apart)
        runs.append(_quickest(lambda: compute(*shapes[-1])))
        if runs[-1].took < MOSTLY_IMAGES * runs[-2].took:
            break
    return _pairs_law(shapes, runs, alike=alike)


def _apart(images: int, most: tuple[int, int]) -> list[tuple[int, int]]:
    """So many images in hardly any pairs, and in most: what takes how much is told apart by these."""
    right = images // 2 // SIDE_BY_SIDE * SIDE_BY_SIDE
    both = [(1, min(images - 1, most[1])), (min(images - right, most[0]), min(right, most[1]))]
    return both if right else both[:1]


def _pairs_law(shapes: Sequence[tuple[int, int]], runs: Sequence[Run], *, alike: bool) -> Pairs:
    n, m = np.array(shapes, dtype=float).T
    pairs = n * [_filled_up(right) for _, right in shapes]
    columns = [n + m, pairs] if alike else [n, m, pairs]
    if len(shapes) < len(columns) + APART:
        fixed, found = 0.0, _coefficients(np.stack(columns, axis=1), runs)
    else:
        fixed, *found = _coefficients(np.stack([np.ones(len(shapes)), *columns], axis=1), runs)
    return Pairs(fixed, found[0], *found) if alike else Pairs(fixed, *found)


def _coefficients(terms: np.ndarray, runs: Sequence[Run]) -> list[float]:
    """Of terms that add up to the seconds of runs.

    Where other programs hold up one run and not another, the clock tells little of how they grow: how this process worked tells
    it then, at the pace that all runs had together.
    """
    took, worked = np.array([[run.took, run.worked] for run in runs]).T
    found, unexplained = _nonnegative(terms, took)
    if unexplained > UNEXPLAINED:
        of_work, left = _nonnegative(terms, worked)
        if left < BETTER * unexplained:
            found = of_work * took.sum() / worked.sum()
    coefficients: list[float] = found.tolist()
    return coefficients


def _nonnegative(terms: np.ndarray, seconds: np.ndarray) -> tuple[np.ndarray, float]:
    """Coefficients of which none is negative, and the root mean square of the relative errors that they leave.

    The variance of a time is taken to grow with it.
    """
    roots = np.sqrt(seconds)
    found, _ = nnls(terms / roots[:, None], roots)
    return found, float(np.sqrt(np.mean((terms @ found / seconds - 1) ** 2)))


def _filled_up(images: int) -> int:
    return -(-images // SIDE_BY_SIDE) * SIDE_BY_SIDE


def _quickest(compute: Callable[[], Tensor]) -> Run:
    """What it takes; of a few runs the least, where they are short."""
    runs = [_once(compute)]
    again = REPEATED if runs[0].took < SHORT else int(runs[0].took < HELD_UP)
    runs += [_once(compute) for _ in range(again)]
    return Run(min(run.took for run in runs), min(run.worked for run in runs))


def _once(compute: Callable[[], Tensor]) -> Run:
    if time.perf_counter() > _end.get():
        raise TimeoutError("what was to be timed is given up.")
    clock = _clock.get()
    clocks = (time.perf_counter, time.process_time) if clock is None else (clock, clock)
    start = [each() for each in clocks]
    compute().cpu()  # a GPU has finished what is read back
    took, worked = (max(each() - begun, 1e-9) for each, begun in zip(clocks, start, strict=True))
    return Run(took, worked)
