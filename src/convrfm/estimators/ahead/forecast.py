"""Small runs of the parts of a fit, which tell what it will take."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from ...kernels.forecast import sample_size
from ...kernels.growth import ROUGHLY, Pairs, Powers, measured_pairs, measured_powers, timed_by_the_processor
from ...kernels.kernel_tiles import default_side
from ...kernels.threads import threads_for
from ...maths.psd import psd_power
from ...maths.random_filters import Centering, RandomFeatures
from ...solvers.exact import RidgePath
from ...solvers.iterative import PROBES
from ...solvers.streamed import unwatched
from ..learning.plan import Plan
from ..learning.problem import Images, Problem
from ..solving.agop_in_parts import part_size
from ..solving.feature_solver import FeatureBasis, Features
from ..solving.iterative import Iterative
from ..solving.solver import LearnableKernel, Metric, budget_of, limited, with_budget
from .costs import Known, LayerCosts, Prospect, among
from .footprint import patch_entries
from .laws import ByParts, ByTiles, Passes, Width

FIRST_SOLVED, MOST_SOLVED = 64, 1024  # images in a regression that is timed
MOST_FILTERS = 128  # of the images of a layer that are timed; what more of them take is told from these
FEW = 512  # images that are timed roughly; with 256, what a pair takes was mistaken for what an image on the left takes
ITERATIONS, SOLVING = (
    40,
    0.5,
)  # of conjugate gradients, and the share of right-hand sides that are not yet solved in one
SQUARE = 512  # side of a product that is timed; from it:
PRIMAL_PRODUCTS = (
    3  # products a pair of features and image: one for the sums, one in double precision for what is left out
)
DECOMPOSED = 12  # an eigendecomposition in double precision, in products of single precision
MADE_OF_FEATURES = (
    5  # decompositions of a metric in a round on random features, of their gradients and of what is learned
)


def prospect(
    plan: Plan,
    problem: Problem,
    fold_shares: Sequence[float],
    patience: float,
    *,
    n_test: int = 0,
    known: Sequence[Sequence[Known]] | None = None,
) -> Prospect:
    """Time the parts of every layer of every candidate.

    Args:
        plan: what is to be fitted.
        problem: that of the first layer, with whichever kernel.
        fold_shares: the share of the images that each fold of a cross-validation holds out; none without one.
        patience: seconds that one of the runs may take; more of them tell more.
        n_test: images whose outputs are asked for after the fit.
        known: what an earlier glance has found out of every layer of every candidate.
    """
    known = known or [[Known()] * len(kernels) for kernels in plan.candidates]
    decomposition = _decomposition_law(plan, problem, patience)
    with problem.threads():
        regression = (
            _iterations_law(problem, patience)
            if isinstance(problem.solver, Iterative)
            else _regression_law(problem, patience)
        )
        costs = [
            _layers_costs(plan, kernels, problem, (regression, decomposition), patience, of_layers)
            for kernels, of_layers in zip(plan.candidates, known, strict=True)
        ]
    return Prospect(
        plan,
        costs,
        0 if problem.selection is None else len(problem.selection[0]),
        len(problem.shrinkages),
        fold_shares,
        n_test,
    )


def looked_closer(ahead: Prospect, problem: Problem, patience: float, agop: int) -> Prospect:
    """What makes much of a fit is timed anew, until nothing does that was timed at a glance alone.

    Args:
        ahead: what a glance told.
        problem: that of the first layer, with whichever kernel.
        patience: seconds that one of the runs may take.
        agop: images at which gradients are taken.
    """
    n, sure = len(problem.x), list[Pairs]()
    while True:
        known = ahead.known(n, agop, sure)
        if sure and all(layer.is_all for layers in known for layer in layers):
            return ahead
        closer = prospect(ahead.plan, problem, ahead.fold_shares, patience, n_test=ahead.n_test, known=known)
        sure += [law for law in closer.laws if not among(law, ahead.laws)] or closer.laws
        ahead = closer


def _layers_costs(
    plan: Plan,
    kernels: Sequence[LearnableKernel],
    problem: Problem,
    algebra: tuple[Powers, Powers],
    patience: float,
    known: Sequence[Known],
) -> list[LayerCosts]:
    """Of one candidate; deeper layers see random features of the identity, of a part of the filters where these are many.

    Args:
        plan: what is to be fitted.
        kernels: of the candidate.
        problem: that of the first layer.
        algebra: the laws of the regression, and of the decomposition of a metric.
        patience: seconds that one of the runs may take.
        known: what need not be timed of every layer.
    """
    n, costs, x = len(problem.x), list[LayerCosts](), problem.x
    draw = replace(plan.draw, n_filters=min(plan.draw.n_filters, MOST_FILTERS))
    times, arriving, entries = 1.0, 0.0, patch_entries(plan, x, kernels)
    for number, kernel in enumerate(limited(problem.solver, kernels)):
        if times > 1:  # as many images at once as of the whole width
            kernel = with_budget(kernel, max(1, int(budget_of(kernel, x.device) / times)))
        x = x[: min(sample_size(x[0].nbytes, n), FEW if patience <= ROUGHLY else n)]
        width = Width(times, algebra[1].seconds(entries[number]))
        if isinstance(problem.solver, Features):
            basis = problem.solver.basis(kernel, x, None)
            of_layer = _costs_of_features(basis, problem, algebra[0], width, patience)
        else:
            of_layer = _costs_of_kernel(plan, kernel, x, problem, algebra[0], width, patience, known[number])
        costs.append(replace(of_layer, arriving=arriving))
        if number + 1 < len(kernels):
            features = draw.features(number, None, kernel.window, x)
            x = x[: sample_size(features(x[:1]).nbytes, len(x))]
            wider = plan.draw.n_filters / draw.n_filters
            arriving = times * wider * _seconds_of_an_image(partial(_centered, features, draw.centerings), x, patience)
            arriving /= len(draw.centerings)
            x, times = features(x), wider
    return costs


def _centered(features: RandomFeatures, centerings: Sequence[Centering], x: Images) -> Tensor:
    """The images of the next layer with each way of centering, in turn; the last ones are returned."""
    for centering in centerings:
        seen = (features.centered(centering, x) or features)(x)
    return seen


def _seconds_of_an_image(compute: Callable[[Images], Tensor], x: Images, patience: float) -> float:
    return measured_powers(lambda m: compute(x[:m]), (1,), first=1, largest=len(x), patience=patience).seconds(1)


def _costs_of_kernel(
    plan: Plan,
    kernel: LearnableKernel,
    x: Images,
    problem: Problem,
    regression: Powers,
    width: Width,
    patience: float,
    known: Known,
) -> LayerCosts:
    """Of a layer whose kernel is met by these images."""
    n, metrics = len(problem.x), list[Metric]([None])
    if plan.n_iterations:
        metrics.append(torch.eye(x.shape[1] * kernel.window.size**2).to(x))
    under = list(zip(metrics, known.matrices, strict=False))
    updated = list(zip(metrics[: plan.n_iterations], known.agops, strict=False))
    if patience <= ROUGHLY:
        updated = updated[-1:]  # gradients under a metric take about as long
    matrices = [law or width.of_matrix(_matrix_law(kernel, x, metric, n, patience), metric) for metric, law in under]
    agops = [law or width.of_agop(_agop_law(kernel, x, metric, problem, patience), metric) for metric, law in updated]
    if isinstance(problem.solver, Iterative):
        matrices = [ByTiles(law.fixed, law.left, law.right, law.pair, default_side(n)) for law in matrices]
        agops = [ByParts(law.fixed, law.left, law.right, law.pair, part_size(x.device)) for law in agops]
    return LayerCosts(matrices[:1] + matrices[-1:], agops[:1] + agops[-1:], regression, learning=width.decomposed)


def _costs_of_features(
    basis: FeatureBasis, problem: Problem, regression: Powers, width: Width, patience: float
) -> LayerCosts:
    """The same under every metric: images are transformed one by one, and what there is less of is decomposed."""
    x, outputs = basis.x, problem.y.shape[1]
    n, columns = len(problem.x), basis.entries
    coef = x.new_ones(columns, outputs)

    transformed = width.times * _seconds_of_an_image(basis.averaged, x, patience)
    differentiated = width.times * _seconds_of_an_image(
        lambda some: basis.agop(some, coef, None, unwatched), x, patience
    )
    multiplied = _multiplied(x, patience)
    if n > columns:
        algebra = Powers({0: DECOMPOSED * multiplied * columns**3, 1: PRIMAL_PRODUCTS * multiplied * columns**2})
    else:
        algebra = Powers({**regression.coefficients, 2: regression.coefficients.get(2, 0.0) + multiplied * columns / 2})
    batch = basis.batch(len(problem.ridges) * (outputs + 1))
    passes = Passes(0.0, transformed, 0.0, 0.0, columns, batch, basis.remembered)
    learning = MADE_OF_FEATURES * width.decomposed
    return LayerCosts([passes] * 2, [Pairs(0.0, differentiated, 0.0, 0.0)] * 2, algebra, learning)


def _matrix_law(kernel: LearnableKernel, x: Images, metric: Metric, n: int, patience: float) -> Pairs:
    def matrix(left: int, right: int) -> Tensor:
        return kernel(x[:left], x[:right], feature_matrix=metric)

    return measured_pairs(matrix, n, n, alike=True, timed=len(x), patience=patience)


def _agop_law(kernel: LearnableKernel, x: Images, metric: Metric, problem: Problem, patience: float) -> Pairs:
    coef, n = x.new_ones(len(x), problem.y.shape[1]), len(problem.x)
    agop_images = n if problem.agop_indices is None else len(problem.agop_indices)

    def agop(left: int, right: int) -> Tensor:
        return kernel.agop(x[:left], x[:right], coef[:right], feature_matrix=metric)

    return measured_pairs(agop, agop_images, n, alike=False, timed=len(x), patience=patience)


def _iterations_law(problem: Problem, patience: float) -> Powers:
    """Of conjugate gradients: products of K with all that is solved."""
    columns = len(problem.ridges) * (problem.y.shape[1] + 1 + PROBES)
    return Powers({2: ITERATIONS * SOLVING * columns * _multiplied(problem.y, patience)})


def _multiplied(like: Tensor, patience: float) -> float:
    """Seconds of one multiplication in a product of matrices."""
    block = like.new_ones(SQUARE, SQUARE)

    def law() -> Powers:
        return measured_powers(lambda _: block @ block, (0,), first=1, largest=1, patience=patience)

    return _quicker(law, 1, like.device).seconds(1) / SQUARE**3


def _quicker(law: Callable[[], Powers], size: int, device: torch.device) -> Powers:
    """The law of a team of torch's threads by the clock, or on a CPU of one thread by the processor, if that is quicker.

    A team's threads wait for each other beside other programs, longest in small runs, from which large ones are told.
    """
    by_the_clock = law()
    if device.type != "cpu":
        return by_the_clock
    with timed_by_the_processor():
        return min(by_the_clock, law(), key=lambda found: found.seconds(size))


def _decomposition_law(plan: Plan, problem: Problem, patience: float) -> Powers:
    """Of the decomposition of a metric on patches of so many entries, in double precision."""
    if not plan.n_iterations:
        return Powers({3: 0.0})
    most = max(max(patch_entries(plan, problem.x, kernels)) for kernels in plan.candidates)
    largest = max(FIRST_SOLVED, min(most, MOST_SOLVED))
    points = torch.randn(largest, largest, generator=torch.Generator().manual_seed(0)).to(problem.x).double()

    def law() -> Powers:
        return measured_powers(
            lambda side: psd_power(points[:side] @ points[:side].T, 0.5),
            (3,),
            first=FIRST_SOLVED,
            largest=largest,
            patience=patience,
        )

    with threads_for(max(len(problem.x), most)):
        return _quicker(law, most, problem.x.device)


def _regression_law(problem: Problem, patience: float) -> Powers:
    """Of the ridge path and of leave-one-out, on random kernel matrices."""
    largest = min(len(problem.x), MOST_SOLVED)
    points = torch.randn(largest, largest, generator=torch.Generator().manual_seed(0)).to(problem.x)
    kernel_matrix = points @ points.T / largest
    order = torch.arange(len(problem.x), device=problem.x.device)
    if problem.groups is not None:
        order = problem.groups.argsort(stable=True)  # so that few images are whole groups

    def regression(n: int) -> Tensor:
        some = order[:n]
        weights, groups = (None if each is None else each[some] for each in (problem.weights, problem.groups))
        path = RidgePath(kernel_matrix[:n, :n], problem.y[some], weights, groups, centered=not problem.classify)
        return path.leave_one_out(problem.ridges)[0]

    def law() -> Powers:
        return measured_powers(regression, (2, 3), first=FIRST_SOLVED, largest=largest, patience=patience)

    return _quicker(law, len(problem.x), problem.x.device)
