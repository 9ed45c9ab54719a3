"""What a fit holds in bytes, beside the temporaries of its kernel."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from ...kernels.kernel_tiles import default_side
from ...maths.random_filters import NUMBERS_AT_ONCE
from ...maths.windows import Window
from ...solvers.iterative import PROBES, default_rank
from ..learning.patch_statistics import InitialMetric
from ..learning.plan import Plan
from ..learning.problem import Images, Problem
from ..solving.feature_solver import Features
from ..solving.iterative import Iterative
from ..solving.solver import LearnableKernel, budget_of, limited

MATRICES, MATRICES_WITH_WEIGHTS = 5.0, 7.5  # of n^2 doubles, alive while K is decomposed; with weights it is twice
FACTORS, STATES = 3, 8  # arrays of n doubles for each column of the preconditioner, and for each right-hand side
TILES_ALIVE = 3  # of doubles, while one is multiplied
METRICS_ALIVE = 9  # of d^2 doubles, while one is made: the sum, its eigenvectors and their workspace, and its root
METRICS_OF_FOLD = (
    3  # in the precision of the images: of the round that is kept, of the last, and the one that is learned
)
NORMALS_ALIVE = 2  # of doubles for each entry of filters while these are drawn, and what a metric makes of them
FEATURES_ALIVE = 2  # copies of a layer's images while ways of centering them are tried: the best one, and the next
DOUBLE = 8  # bytes
FEWEST = 2  # images that a fit can be to
UNFOLDED_ALIVE = 3  # copies of all patches while they are brought to one contrast


def bytes_of(plan: Plan, problem: Problem, n: int, n_folds: int) -> int:
    """What a fit to n images like these holds beside a kernel's temporaries: its solve, the metric it learns, and images.

    Args:
        plan: what is to be fitted.
        problem: that of the first layer.
        n: training images.
        n_folds: of a cross-validation, each with copies of the images; 0 for none.
    """
    learned = bytes_learned(plan, problem.x, n_folds, problem.initial_metric)
    return bytes_of_solve(plan, problem, n) + learned + bytes_of_images(plan, problem, n, n_folds)


def bytes_missing(plan: Plan, problem: Problem, n: int, n_folds: int) -> int:
    """The same without the images of the first layer, which are there already."""
    return bytes_of(plan, problem, n, n_folds) - n * problem.x[0].nbytes


def bytes_of_solve(plan: Plan, problem: Problem, n: int) -> int:
    """What the regression of n images holds at most, and what it remembers."""
    if isinstance(problem.solver, Iterative):
        matrix = n**2 * problem.x.element_size()
        states = bytes_of_iterations(n, problem.y.shape[1], len(problem.ridges))
        return states + (matrix if matrix <= problem.solver.memory else 0)
    solve = bytes_of_regression(plan, problem, n)
    if isinstance(problem.solver, Features):
        solve += min(problem.solver.memory, bytes_of_features(plan, problem, n))
    return solve


def bytes_of_images(plan: Plan, problem: Problem, n: int, n_folds: int) -> int:
    """n images and what the layers make of them, with the copies of folds, and their patches where these are unfolded."""
    first, unfolded = problem.x[0].numel(), max(_unfolded_numbers(problem, one.window) for one, *_ in plan.candidates)
    between = max(_bytes_between(plan, problem.x, kernels, n, n_folds) for kernels in plan.candidates)
    return ((1 + n_folds) * first + unfolded) * n * problem.x.element_size() + between


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


def bytes_learned(plan: Plan, x: Images, n_folds: int, initial_metric: InitialMetric) -> int:
    """What metrics on patches and filters between layers take."""
    return bytes_of_metrics(plan, x, n_folds, initial_metric) + bytes_of_filters(plan, x, n_folds)


def bytes_of_metrics(plan: Plan, x: Images, n_folds: int, initial_metric: InitialMetric) -> int:
    """What it takes to make the metric of the largest patches, those of rounds and folds beside it; 0 where none is made.

    Args:
        plan: what is to be fitted.
        x: images of the first layer.
        n_folds: of a cross-validation, each with metrics of its own; 0 for none.
        initial_metric: that of round 0, which is not made where it is the identity.
    """
    given = not (isinstance(initial_metric, str) and initial_metric == "identity")
    entries = [patch_entries(plan, x, kernels) for kernels in plan.candidates]
    made = [side for sides in entries for side in (sides if plan.n_iterations else sides[:given])]
    if not made:
        return 0
    kept = (plan.n_iterations + METRICS_OF_FOLD * n_folds * (plan.n_iterations > 0)) * max(map(len, entries))
    kept += given * (1 + n_folds)
    return (8 * METRICS_ALIVE + x.element_size() * kept) * max(made) ** 2


def bytes_of_filters(plan: Plan, x: Images, n_folds: int) -> int:
    """The filters of all layers but the last one, and while some are drawn those of folds beside them."""
    of_layers = [
        [plan.draw.n_filters * side for side in patch_entries(plan, x, kernels)[:-1]] for kernels in plan.candidates
    ]
    drawn = max((max(numbers, default=0) for numbers in of_layers), default=0)
    kept = sum(map(sum, of_layers))
    return x.element_size() * (kept + n_folds * drawn) + 8 * NORMALS_ALIVE * drawn


def patch_entries(plan: Plan, x: Images, kernels: Sequence[LearnableKernel]) -> list[int]:
    """The entries of a patch in every layer."""
    channels = [x.shape[1], *[plan.draw.n_filters] * (len(kernels) - 1)]
    return [each * kernel.window.size**2 for each, kernel in zip(channels, kernels, strict=True)]


def most(fits: Callable[[int], bool], too_many: int) -> int:
    """The largest number that fits, below one that does not; 0 where none does."""
    fitting = 0
    while too_many - fitting > 1:
        middle = (fitting + too_many) // 2
        fitting, too_many = (middle, too_many) if fits(middle) else (fitting, middle)
    return fitting


def most_images(fits: Callable[[int], bool], too_many: int, of_each: int) -> int:
    """The most images that fit with their copies, in hundreds where they are many; 0 where no fit would be possible.

    Args:
        fits: whether so many do, copies among them.
        too_many: that do not fit.
        of_each: how many there are of every image.
    """
    fitting = most(fits, too_many) // of_each
    rounded = fitting // 100 * 100 if fitting > 1000 else fitting
    return rounded if rounded >= FEWEST else 0


def most_filters(plan: Plan, fits: Callable[[Plan], bool]) -> int:
    """The most filters between layers with which a fit fits; 0 where there are none between, or not even one does."""
    if max(map(len, plan.candidates)) == 1:
        return 0
    return most(lambda n: fits(replace(plan, draw=replace(plan.draw, n_filters=n))), plan.draw.n_filters)


def _decomposed(plan: Plan, problem: Problem, kernels: Sequence[LearnableKernel], n: int) -> int:
    """The side of the largest matrix that is decomposed in any layer."""
    side, (rows, cols) = 0, problem.x.shape[-2:]
    for kernel in kernels:
        side = max(side, problem.solver.decomposed(kernel, rows, cols, n))
        rows, cols = kernel.window.output_length(rows), kernel.window.output_length(cols)
    return side


def _bytes_between(plan: Plan, x: Images, kernels: Sequence[LearnableKernel], n: int, n_folds: int) -> int:
    """What n images take where one layer leads to the next: as they arrive at both, and while their means are taken."""
    highest, here, (rows, cols) = 0, 0, x.shape[-2:]
    alive, number = min(FEATURES_ALIVE, len(plan.draw.centerings)), x.element_size()
    centers = any(centering is not None for centering in plan.draw.centerings)
    for kernel in kernels[:-1]:
        rows, cols = kernel.window.output_length(rows), kernel.window.output_length(cols)
        ahead = plan.draw.n_filters * rows * cols
        tried = n * (1 + n_folds) * number * (here + (alive - 1) * ahead)
        means = centers * min(n * ahead, NUMBERS_AT_ONCE) * (number + DOUBLE * (number < DOUBLE))
        highest, here = max(highest, tried + max(n * (1 + n_folds) * number * ahead, means)), ahead
    return highest


def _unfolded_numbers(problem: Problem, window: Window) -> int:
    """How many numbers an image takes where kernel matrices see patches of one contrast: those of all images at once."""
    if window.contrast is None or isinstance(problem.solver, Features):
        return 0
    rows, cols = map(window.output_length, problem.x.shape[-2:])
    return UNFOLDED_ALIVE * problem.x.shape[1] * window.size**2 * rows * cols
