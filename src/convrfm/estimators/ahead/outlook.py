"""What is told of the time and the memory that a fit takes: before it starts, and as rounds are finished."""

import sys
import time
from collections.abc import Iterable, Sequence

import numpy as np
import torch

from ...announcements import announce
from ...errors import InputError
from ...kernels.devices import free_memory, unused_memory
from ...kernels.features import check_drawable
from ...kernels.forecast import Forecast
from ...kernels.growth import AT_A_GLANCE, ROUGHLY, THOROUGHLY
from ...kernels.infinite import InfiniteWidthKernel
from ...quantities import counted, duration, size
from ..given.augmentation import images_of_each
from ..learning.plan import Plan
from ..learning.problem import Problem
from ..solving.feature_solver import Features
from ..solving.iterative import Iterative
from ..solving.solver import Exact, LearnableKernel, Solver
from .costs import ExpectedRound, Prospect
from .footprint import (
    bytes_at_work,
    bytes_missing,
    bytes_of,
    bytes_of_filters,
    bytes_of_images,
    bytes_of_metrics,
    bytes_of_regression,
    bytes_of_solve,
    most_filters,
    most_images,
)
from .forecast import looked_closer, prospect

LONG_FIT_SECONDS = 30.0
A_MINUTE = 60.0  # which shorter fits do not take, as is said of them
SHORT = 1.0  # seconds, of which nothing need be said
UNSURE = (
    3  # times as long it may take as a glance tells; what is as much longer than a long fit is worth a thorough look
)
FEWER_FEATURES = "Pass a smaller n_features, or a kernel that averages more positions in front of its readout"
WORTH_SHORTENING = 600.0  # seconds
LOOKING = "looking at what the fit will take, by small runs of its parts."
FIRST_ROUND = "Round 0 of a layer is its fixed kernel, every other one an update of M."
WORTH_A_LOOK = 2e7  # pairs of images, times their pixels, in all rounds
USABLE = 0.9  # of the memory that is free
BUSY = 0.8  # of a look's time, of which this process has less at work, with all of its threads, where others hold it up
OTHERS = "Other programs keep the processors busy; alone it would take less."
MOVED = 1.1  # how far an estimate has gone from the one that was told before it is told again
SHORTER = 10  # times fewer gradients


class Outlook:
    """The rounds that are expected of a fit, and how long those took that are finished."""

    def __init__(self, expected: Sequence[ExpectedRound], *, told: bool) -> None:
        self._expected, self._told = list(expected), told
        self._seconds: list[float] = []
        self._said = sum(round_.seconds for round_ in expected)
        self._last = time.perf_counter()

    def round_finished(self) -> None:
        """Tell how long the rest will take, where that is no longer what was said."""
        now = time.perf_counter()
        self._seconds.append(now - self._last)
        self._last = now
        done, left = len(self._seconds), self.seconds_left
        total = sum(self._seconds) + left
        if self._told and left > LONG_FIT_SECONDS and not 1 / MOVED < total / self._said < MOVED:
            self._said = total
            announce(
                f"after {done} of {counted(len(self._expected), 'round')}: about {duration(left)} left (estimated)"
            )

    @property
    def seconds_left(self) -> float:
        """Of the rounds that are missing, as the last finished one of their kind has it: the load of the machine may change."""
        longer = {False: 1.0, True: 1.0}
        for round_, took in zip(self._expected, self._seconds, strict=False):
            longer[round_.iteration > 0] = took / round_.seconds
        return sum(each.seconds * longer[each.iteration > 0] for each in self._expected[len(self._seconds) :])


def outlook(
    plan: Plan,
    problem: Problem,
    folds: Sequence[np.ndarray],
    finished: int,
    *,
    verbose: bool,
    n_test: int,
) -> Outlook:
    """Refuse what cannot fit into memory, and say how long a long fit will take, before it starts; any fit where `verbose`.

    Args:
        plan: what is to be fitted.
        problem: that of the first layer.
        folds: the images that each fold of a cross-validation holds out.
        finished: rounds that are finished already.
        verbose: whether short fits are announced too.
        n_test: images whose outputs are asked for after the fit.

    Raises:
        InputError: if the memory that is free does not suffice.
    """
    if finished == plan.n_rounds:
        return Outlook([], told=False)
    n = len(problem.x)
    agop = n if problem.agop_indices is None else len(problem.agop_indices)
    shares = [len(held_out) / n for held_out in folds]
    at = torch.device("cpu") if isinstance(problem.solver, Iterative) else problem.x.device  # where most of it lies
    missing, free = bytes_missing(plan, problem, n, len(folds)), int(USABLE * free_bytes(at))
    if missing > free:
        raise InputError(_too_large(plan, problem, shares, agop, missing, free))
    pairs = plan.n_rounds * n * ((1 + len(folds)) * n + n_test)
    if not verbose and pairs * problem.x[0, 0].numel() < WORTH_A_LOOK:
        return Outlook([], told=False)
    began, worked = time.perf_counter(), time.process_time()
    ahead = prospect(plan, problem, shares, AT_A_GLANCE, n_test=n_test)
    if (glanced := ahead.seconds(n, agop) + ahead.seconds_of_outputs(n)) > A_MINUTE / UNSURE:
        if verbose or glanced > LONG_FIT_SECONDS:
            announce(LOOKING)
        patience = THOROUGHLY if glanced > LONG_FIT_SECONDS * UNSURE else ROUGHLY
        ahead = looked_closer(ahead, problem, patience, agop)
    held_up = at.type == "cpu" and time.process_time() - worked < BUSY * (time.perf_counter() - began)
    long, outputs = ahead.seconds(n, agop) > LONG_FIT_SECONDS, ahead.seconds_of_outputs(n)
    expected = ahead.rounds(n, agop)[finished:]
    seconds = sum(round_.seconds for round_ in expected)
    if verbose or long or outputs > LONG_FIT_SECONDS:
        rounds = counted(len(expected), "round") + (f", each in {len(folds)} folds as well," if folds else "")
        takes = f"about {duration(seconds)}" if long else "less than a minute"
        kept, at_work = size(bytes_of(plan, problem, n, len(folds))), size(bytes_at_work(plan, problem))
        memory = f"{kept} of memory, up to {at_work} more at work"
        first = f" {FIRST_ROUND}" if plan.n_iterations else ""
        many = f" Outputs at {counted(n_test, 'test image')} take about {duration(outputs)} more."
        later = many if outputs > SHORT else ""
        busy = f" {OTHERS}" if held_up and long else ""
        announce(f"fitting {rounds} on {_images(problem)}: {takes} and {memory} (estimated).{busy}{later}{first}")
    firsts = (kernels[0] for kernels in plan.candidates)
    if long and (narrower := with_fewer_columns(problem.solver, firsts, problem.x.shape)):
        announce(narrower)
    if seconds > WORTH_SHORTENING and (fewer := _with_fewer_gradients(ahead, n, agop, problem.of_each)):
        announce(fewer)
    return Outlook(expected, told=long)


def expected_of(plan: Plan, problem: Problem, folds: Sequence[np.ndarray], patience: float) -> Forecast:
    """What a fit takes, from small runs of its parts.

    Args:
        plan: what is to be fitted.
        problem: that of the first layer.
        folds: the images that each fold of a cross-validation holds out.
        patience: seconds that one of the runs may take.
    """
    n = len(problem.x)
    agop = n if problem.agop_indices is None else len(problem.agop_indices)
    glance = prospect(plan, problem, [len(held_out) / n for held_out in folds], AT_A_GLANCE)
    ahead = looked_closer(glance, problem, patience, agop)
    return Forecast(ahead.seconds(n, agop), bytes_of(plan, problem, n, len(folds)))


def free_bytes(device: torch.device) -> int:
    """The memory that a device has left."""
    unused = unused_memory(device)
    return free_memory() if unused is None else unused


def _images(problem: Problem) -> str:
    """How many there are to be fitted, copies told apart."""
    n = len(problem.x)
    return f"{n // problem.of_each} images ({n} with their copies)" if problem.of_each > 1 else f"{n} images"


def _too_large(plan: Plan, problem: Problem, shares: Sequence[float], agop: int, missing: int, free: int) -> str:
    """What does not fit, and what would."""
    n, n_folds = len(problem.x), len(shares)
    fitting = most_images(lambda m: bytes_missing(plan, problem, m, n_folds) <= free, n, problem.of_each)
    filters = most_filters(plan, lambda fewer: bytes_missing(fewer, problem, n, n_folds) <= free)
    too_large = (
        f"a fit to {_images(problem)} needs {size(missing)}, and {size(free)} can be used: "
        f"{_most_of_it(plan, problem, n_folds)}."
    )
    if isinstance(problem.solver, Features):
        too_large = f"{too_large} {FEWER_FEATURES}."
    if filters:
        too_large = f"{too_large} With n_filters={filters} all images fit."
    if not fitting:
        return too_large if filters else f"{too_large} Free memory, or pass smaller images or patches."
    by_cg, fewer = isinstance(problem.solver, Iterative), fitting * problem.of_each
    decomposes = isinstance(problem.solver, Exact) and not by_cg and problem.groups is None
    solved = 'Pass solver="cg", or take' if decomposes else "Take"
    ahead = prospect(plan, problem, shares, THOROUGHLY)
    time_taken = duration(ahead.seconds(fewer, min(agop, fewer)))
    shorter = _with_fewer_gradients(ahead, fewer, min(agop, fewer), problem.of_each)
    infinite = all(isinstance(kernel, InfiniteWidthKernel) for kernels in plan.candidates for kernel in kernels)
    pooled = infinite and isinstance(problem.solver, Exact)
    all_of_them = ' Or fit all of them on random features of a pooled kernel: solver="features".' if pooled else ""
    return (
        f"{too_large} {solved} fewer: with n_train={fitting} it fits, and takes about {time_taken}. {shorter}".rstrip()
        + all_of_them
    )


def _most_of_it(plan: Plan, problem: Problem, n_folds: int) -> str:
    """What takes most of the memory of a fit, in words."""
    n = len(problem.x)
    if isinstance(problem.solver, Features):
        solving = "products of random features are decomposed"
    elif isinstance(problem.solver, Iterative):
        solving = "conjugate gradients keep their states and a preconditioner"
    else:
        a_pair = bytes_of_regression(plan, problem, n) / n**2
        solving = f"the kernel matrix is decomposed, which takes {a_pair:.0f} bytes a pair of images"
    metrics = bytes_of_metrics(plan, problem.x, n_folds, problem.initial_metric)
    filters = bytes_of_filters(plan, problem.x, n_folds)
    images = bytes_of_images(plan, problem, n, n_folds) - problem.x.nbytes
    parts = {
        solving: bytes_of_solve(plan, problem, n),
        f"metrics on patches take {size(metrics)}": metrics,
        f"filters between layers take {size(filters)}": filters,
        f"images between layers, copies in folds and patches take {size(images)}": images,
    }
    return max(parts, key=lambda part: parts[part])


def with_fewer_columns(solver: Solver, kernels: Iterable[LearnableKernel], shape: Sequence[int]) -> str:
    """What helps where an image has more random features than there are images, and each stands for one position; "" elsewhere.

    A kernel that averages positions meets all pairs of them, which its features save however many they are.

    Args:
        solver: of the fit.
        kernels: of the first layer, those of all candidates.
        shape: of the images that are fitted, `(n, c, h, w)`.
    """
    if not isinstance(solver, Features) or solver.draw.first_filters != "gaussian":
        return ""
    n, _, height, width = shape
    apart = [kernel for kernel in kernels if not check_drawable(kernel).architecture.couples_positions]
    columns = max((solver.decomposed(kernel, height, width, sys.maxsize) for kernel in apart), default=0)
    if columns <= n * images_of_each(solver.augment):
        return ""
    return (
        f'An image has {columns} features, more than there are images: solver="exact" decomposes no more. Features pay with a '
        "kernel that averages positions in front of its readout, or with a smaller n_features."
    )


def _with_fewer_gradients(ahead: Prospect, n: int, agop: int, of_each: int) -> str:
    """What gradients at fewer images, with their copies, save; nothing where that is little."""
    fewer = max(1, agop // SHORTER // of_each)
    whole, shorter = ahead.seconds(n, agop), ahead.seconds(n, fewer * of_each)
    if shorter > whole / 2:
        return ""
    return f"With agop_samples={fewer} (gradients at {fewer} of the images) it would be about {duration(shorter)}."
