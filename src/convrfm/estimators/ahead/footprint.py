"""What a fit holds in bytes, beside the temporaries of its kernel."""

import sys
from collections.abc import Sequence

from ...kernels.kernel_tiles import default_side
from ...maths.windows import Window
from ...solvers.iterative import PROBES, default_rank
from ..learning.plan import Plan
from ..learning.problem import Images, Problem
from ..solving.feature_solver import Features
from ..solving.iterative import Iterative
from ..solving.solver import LearnableKernel, budget_of, limited

MATRICES, MATRICES_WITH_WEIGHTS = 5.0, 7.5  # of n^2 doubles, alive while K is decomposed; with weights it is twice
FACTORS, STATES = 3, 8  # arrays of n doubles for each column of the preconditioner, and for each right-hand side
TILES_ALIVE = 3  # of doubles, while one is multiplied
METRICS_ALIVE = 9  # of d^2 doubles, while one is learned: the sum, its eigenvectors and their workspace, and its root
METRICS_OF_FOLD = (
    3  # in the precision of the images: of the round that is kept, of the last, and the one that is learned
)
FEATURES_ALIVE = 3  # copies of a layer's images while it is drawn
UNFOLDED_ALIVE = 3  # copies of all patches while they are brought to one contrast


def bytes_of(plan: Plan, problem: Problem, n: int, n_folds: int) -> int:
    """What a fit to n images like these holds beside a kernel's temporaries: its solve, the metric it learns, and images.

    Args:
        plan: what is to be fitted.
        problem: that of the first layer.
        n: training images.
        n_folds: of a cross-validation, each with copies of the images; 0 for none.
    """
    numbers = max(_image_numbers(plan, problem.x, kernels) for kernels in plan.candidates)
    unfolded = max(_unfolded_numbers(problem, kernels[0].window) for kernels in plan.candidates)
    bytes_of_images = ((1 + n_folds) * numbers + unfolded) * n * problem.x.element_size()
    if isinstance(problem.solver, Iterative):
        matrix = n**2 * problem.x.element_size()
        solve = bytes_of_iterations(n, problem.y.shape[1], len(problem.ridges))
        solve += matrix if matrix <= problem.solver.memory else 0
    else:
        solve = bytes_of_regression(plan, problem, n)
    if isinstance(problem.solver, Features):
        solve += min(problem.solver.memory, bytes_of_features(plan, problem, n))
    return solve + bytes_of_metrics(plan, problem.x, n_folds) + bytes_of_images


def bytes_missing(plan: Plan, problem: Problem, n: int, n_folds: int) -> int:
    """The same without the images of the first layer, which are there already."""
    return bytes_of(plan, problem, n, n_folds) - n * problem.x[0].nbytes


def bytes_of_regression(plan: Plan, problem: Problem, n: int) -> int:
    """What a fit to n images decomposes, K or products of random features, and what these make of every image and ridge."""
    side = max(_decomposed(plan, problem, kernels, n) for kernels in plan.candidates)
    of_images = len(problem.ridges) * n * (3 * problem.y.shape[1] + 1) if isinstance(problem.solver, Features) else 0
    return bytes_of_decomposition(side, weighted=problem.weights is not None) + 8 * of_images


def bytes_of_features(plan: Plan, problem: Problem, n: int) -> int:
    """What the random features of n images take where they have most of them."""
    columns = max(_decomposed(plan, problem, kernels, sys.maxsize) for kernels in plan.candidates)
    return n * columns * problem.x.element_size()


def bytes_of_decomposition(side: int, *, weighted: bool) -> int:
    """What a matrix of this side takes while it is decomposed, in double precision."""
    return round(8 * (MATRICES_WITH_WEIGHTS if weighted else MATRICES) * side**2)


def bytes_of_iterations(n: int, outputs: int, ridges: int) -> int:
    """What conjugate gradients on n images hold beside their matrix, for all outputs and probes of every ridge."""
    columns, side = ridges * (outputs + 1 + PROBES), min(n, default_side(n))
    return 8 * (n * (FACTORS * default_rank(n) + STATES * columns) + TILES_ALIVE * side**2)


def bytes_at_work(plan: Plan, problem: Problem) -> int:
    """How many bytes a kernel may take beside its matrix."""
    kernels = limited(problem.solver, [kernel for kernels in plan.candidates for kernel in kernels])
    return max(budget_of(kernel, problem.x.device) for kernel in kernels)


def bytes_of_metrics(plan: Plan, x: Images, n_folds: int) -> int:
    """What it takes to learn the metric of the largest patches, those of rounds and folds beside it; 0 where none is learned.

    Args:
        plan: what is to be fitted.
        x: images of the first layer.
        n_folds: of a cross-validation, each with metrics of its own; 0 for none.
    """
    if not plan.n_iterations:
        return 0
    windows = [(number, kernel.window) for kernels in plan.candidates for number, kernel in enumerate(kernels)]
    entries = max((plan.draw.n_filters if number else x.shape[1]) * window.size**2 for number, window in windows)
    kept = plan.n_iterations + METRICS_OF_FOLD * n_folds
    depth = max(map(len, plan.candidates))
    return (8 * METRICS_ALIVE + x.element_size() * kept * depth) * entries**2


def _decomposed(plan: Plan, problem: Problem, kernels: Sequence[LearnableKernel], n: int) -> int:
    """The side of the largest matrix that is decomposed in any layer."""
    side, (rows, cols) = 0, problem.x.shape[-2:]
    for kernel in kernels:
        side = max(side, problem.solver.decomposed(kernel, rows, cols, n))
        rows, cols = kernel.window.output_length(rows), kernel.window.output_length(cols)
    return side


def _image_numbers(plan: Plan, x: Images, kernels: Sequence[LearnableKernel]) -> int:
    """How many numbers an image takes in the widest layer."""
    most, (rows, cols) = x[0].numel(), x.shape[-2:]
    for kernel in kernels[:-1]:
        rows, cols = kernel.window.output_length(rows), kernel.window.output_length(cols)
        most = max(most, FEATURES_ALIVE * plan.draw.n_filters * rows * cols)
    return most


def _unfolded_numbers(problem: Problem, window: Window) -> int:
    """How many numbers an image takes where kernel matrices see patches of one contrast: those of all images at once."""
    if window.contrast is None or isinstance(problem.solver, Features):
        return 0
    rows, cols = map(window.output_length, problem.x.shape[-2:])
    return UNFOLDED_ALIVE * problem.x.shape[1] * window.size**2 * rows * cols
