"""What a fit holds in bytes, beside the temporaries of its kernel."""

from collections.abc import Sequence

from ..kernels.kernel_tiles import default_side
from ..maths.windows import Window
from ..solvers.iterative import PROBES, default_rank
from .feature_solver import Features
from .iterative import Iterative
from .plan import Plan
from .problem import Images, Problem
from .solver import LearnableKernel

MATRICES, MATRICES_WITH_WEIGHTS = 5.0, 7.5  # of n^2 doubles, alive while K is decomposed; with weights it is twice
FACTORS, STATES = 3, 8  # arrays of n doubles for each column of the preconditioner, and for each right-hand side
TILES_ALIVE = 3  # of doubles, while one is multiplied
METRICS_ALIVE = 9  # of d^2 doubles, while one is learned: the sum, its eigenvectors and their workspace, and its root
METRICS_OF_FOLD = 2  # in the precision of the images: the one before, and the one that is learned
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
        solve = bytes_of_iterations(n, problem.y.shape[1], len(problem.ridges), folded=n_folds > 0)
    else:
        solve = bytes_of_decomposition(plan, problem, n)
    return solve + bytes_of_metrics(plan, problem.x, n_folds) + bytes_of_images


def bytes_of_decomposition(plan: Plan, problem: Problem, n: int) -> int:
    """What the largest matrix and its eigenvectors take in a fit to n images: K, or products of random features."""
    matrices = MATRICES if problem.weights is None else MATRICES_WITH_WEIGHTS
    side = max(_decomposed(plan, problem, kernels, n) for kernels in plan.candidates)
    return round(8 * matrices * side**2)


def bytes_of_iterations(n: int, outputs: int, ridges: int, *, folded: bool) -> int:
    """What conjugate gradients on n images hold beside their matrix, for all outputs and probes of every ridge.

    Where there are folds, what is held of all images lies beside what a fold holds.
    """
    columns, side = ridges * (outputs + 1 + PROBES), min(n, default_side(n))
    return 8 * ((1 + folded) * n * (FACTORS * default_rank(n) + STATES * columns) + TILES_ALIVE * side**2)


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
    return (8 * METRICS_ALIVE + x.element_size() * kept) * entries**2


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
