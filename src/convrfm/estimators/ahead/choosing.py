"""Which solver a fit takes, by the size of its kernel matrix and the memory that it may use, and what a solver remembers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from ...announcements import announce
from ...errors import InputError
from ...kernels.devices import default_budget
from ...kernels.features import FeatureDraw
from ...quantities import counted, size
from ..learning.plan import Plan
from ..learning.problem import Problem
from ..solving.feature_solver import Features
from ..solving.iterative import Iterative
from ..solving.solver import Exact, Solver, SolverName
from .footprint import (
    bytes_at_work,
    bytes_missing,
    bytes_of_decomposition,
    bytes_of_filters,
    bytes_of_iterations,
    bytes_of_metrics,
    bytes_of_regression,
    most_images,
)
from .outlook import FEWER_FEATURES, USABLE, free_bytes

CPU = torch.device("cpu")  # where conjugate gradients have their matrix and their states
REMEMBERING = 0.5  # of what a fit leaves of its memory, for random features that it would make again
SHARE = 8  # of a budget that a kernel's temporaries take, where their default is not less


def as_before(name: SolverName, random_state: int | None, earlier: Solver | None) -> tuple[SolverName, int]:
    """The name and the seed of the solver of a fit, where these leave them open: those of the fit that it goes on from.

    Args:
        name: of the solver; "auto" leaves it open.
        random_state: None leaves the seed open.
        earlier: the solver of that fit; None for a fit that begins, whose seed is drawn.
    """
    if name == "auto" and isinstance(earlier, Exact):
        name = "cg" if isinstance(earlier, Iterative) else "exact"
    if random_state is not None:
        return name, int(random_state)
    match earlier:
        case Exact(seed=seed) | Features(draw=FeatureDraw(seed=seed)):
            return name, seed
    return name, int(np.random.SeedSequence().generate_state(1)[0])


@dataclass(frozen=True)
class Regression:
    """What a kernel solver is chosen for.

    Args:
        n: training images.
        outputs: of each.
        ridges: how many are tried.
        weighted: whether the images have weights.
        grouped: whether groups of them are left out together, which conjugate gradients cannot.
        metrics: bytes in which metrics on patches are made and kept.
        filters: bytes of the filters between layers.
        of_each: how many there are of every image, itself and its copies.
        narrower: from the bytes that metrics and filters may take to the most filters that take no more, 0 for none; None
            where there are none between layers.
    """

    n: int
    outputs: int
    ridges: int
    weighted: bool
    grouped: bool
    metrics: int
    filters: int = 0
    of_each: int = 1
    narrower: Callable[[int], int] | None = None

    def remedies(self, solve: Callable[[int], int], memory: int, *others: str) -> str:
        """What to pass where a regression, which takes `solve` of so many images, does not fit beside what is learned."""
        learned = self.metrics + self.filters
        images = most_images(lambda n: solve(n) + learned <= memory, self.n, self.of_each)
        filters = self.narrower(memory - solve(self.n)) if self.narrower else 0
        ways = [
            "a larger memory_budget",
            f"fewer images (n_train={images} fits)" if images else "",
            f"fewer filters (n_filters={filters} fits)" if filters else "",
            "smaller patches" if self.metrics else "",
            *others,
        ]
        *first, last = filter(None, ways)
        return f"Pass {', '.join(first)} or {last}." if first else f"Pass {last}."


def kernel_solver(
    name: Literal["auto", "exact", "cg"],
    asked: Regression,
    *,
    memory_budget: int | None,
    device: torch.device,
    seed: int,
    folder: Path | None,
    workers: int | str | None,
) -> Exact:
    """The solver of this name; "auto" takes conjugate gradients where a decomposition does not fit, and says why.

    Args:
        name: "auto", "exact" or "cg".
        asked: what it is to solve.
        memory_budget: bytes for all but the images; None for what is free.
        device: where the fit takes place.
        seed: of what the solver draws.
        folder: where tiles are kept; None for a temporary folder.
        workers: who shares the work, which "auto" takes conjugate gradients for; None for nobody.

    Raises:
        InputError: for a budget that the solver does not keep, and for workers elsewhere that share no folder.
    """
    if isinstance(workers, str) and folder is None:
        raise InputError(f"workers={workers!r} need a tile_folder that they and this process reach.")
    temporaries = None if memory_budget is None else max(1, min(memory_budget // SHARE, default_budget(device)))
    at_work = 0 if temporaries is None else 2 * temporaries  # the values of some images with all others lie beside them
    memory, beside = (_usable(at, memory_budget) - at_work for at in (device, CPU))
    learned = asked.metrics + asked.filters
    allowed = f"{_beside(asked.metrics, asked.filters)}, and memory_budget={memory_budget} allows"

    def decomposed(n: int) -> int:
        return bytes_of_decomposition(n, weighted=asked.weighted)

    def iterated(n: int) -> int:
        return bytes_of_iterations(n, asked.outputs, asked.ridges)

    decomposition = decomposed(asked.n)
    fits = decomposition + learned <= memory
    no_help = asked.grouped or learned > memory  # of conjugate gradients
    if name == "exact" or (name == "auto" and workers is None and (fits or no_help)):
        if memory_budget is not None and not fits:
            remedies = asked.remedies(decomposed, memory, "" if no_help else 'solver="cg"')
            raise InputError(
                f"the kernel matrix of {asked.n} images is decomposed in {size(decomposition)}{allowed} {size(memory)} beside "
                f"{size(at_work)} at work. {remedies}"
            )
        return Exact(seed, temporaries)
    states = iterated(asked.n)
    if memory_budget is not None and states + learned > beside:
        raise InputError(
            f"conjugate gradients on {asked.n} images with {counted(asked.ridges, 'ridge')} hold {size(states)}{allowed} "
            f"{size(beside)} beside {size(at_work)} at work. "
            f"{asked.remedies(iterated, beside, 'one ridge' if asked.ridges > 1 else '')}"
        )
    if name == "auto" and workers is None:
        announce(
            f"the kernel matrix of {asked.n} images would be decomposed in {size(decomposition)}, and {size(memory)} can be "
            'used: it is solved by conjugate gradients (solver="cg"), with estimated leave-one-out'
        )
    return Iterative(seed, temporaries, beside - states - learned, folder)


def within_budget(plan: Plan, problem: Problem, folds: Sequence[np.ndarray], memory_budget: int | None) -> Problem:
    """The same problem, whose solver remembers no more than fits beside all else: a kernel matrix, or random features.

    These are remembered in a part of the bytes that the fit leaves of its budget, and of those that are free.

    Raises:
        InputError: where the regression on random features takes more than it may.
    """
    n, device, solver = len(problem.x), problem.x.device, problem.solver
    if isinstance(solver, Iterative):
        others = bytes_missing(plan, replace(problem, solver=replace(solver, memory=0)), n, len(folds))
        left = max(0, int(USABLE * free_bytes(CPU)) - others)
        return replace(problem, solver=replace(solver, memory=min(solver.memory, left)))
    if not isinstance(solver, Features):
        return problem
    metrics = bytes_of_metrics(plan, problem.x, len(folds), problem.initial_metric)
    filters = bytes_of_filters(plan, problem.x, len(folds))
    solve, learned = bytes_of_regression(plan, problem, n), metrics + filters
    if memory_budget is not None and solve + learned > memory_budget:
        images = most_images(
            lambda m: bytes_of_regression(plan, problem, m) + learned <= memory_budget, n, problem.of_each
        )
        fewer = f" fewer images (n_train={images} fits)," if images else ""
        raise InputError(
            f"the regression on random features takes {size(solve)}{_beside(metrics, filters)}, and "
            f"memory_budget={memory_budget} allows {size(memory_budget)}. {FEWER_FEATURES},{fewer} smaller patches, or a "
            "larger memory_budget."
        )
    taken = bytes_missing(plan, problem, n, len(folds)) + bytes_at_work(plan, problem)
    left = int(USABLE * free_bytes(device)) - taken
    if memory_budget is not None:
        left = min(left, memory_budget - solve - learned)
    return replace(problem, solver=replace(solver, memory=int(REMEMBERING * max(0, left))))


def _beside(metrics: int, filters: int) -> str:
    """What a fit holds beside its regression, in words."""
    learned = f", the metric on patches is learned in {size(metrics)}" if metrics else ""
    return learned + (f", filters between layers take {size(filters)}" if filters else "")


def _usable(device: torch.device, memory_budget: int | None) -> int:
    return int(USABLE * free_bytes(device)) if memory_budget is None else memory_budget
