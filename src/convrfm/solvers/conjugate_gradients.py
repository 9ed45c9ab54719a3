"""Preconditioned conjugate gradients for many right-hand sides, each with its own shift, that share the products with K."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..errors import InputError

Product = Callable[[Tensor], Tensor]
Precondition = Callable[[Tensor, Tensor], Tensor]


class IndefiniteError(InputError):
    """A matrix plus a shift has an eigenvalue that is not positive."""


@dataclass(frozen=True, eq=False)
class State:
    """Where an iteration stands: all that the next one needs, so that a solve goes on from it to the same bits.

    Attributes:
        solution: so far, `(n, c)`.
        residual: right-hand side less the matrix times the solution, as the recursion has it.
        direction: of the next step.
        gain: the residual times the preconditioned residual, `(c,)`.
        iterations: how many there were, `()`.
        shifts: of the solve, which only such a solve goes on from.
    """

    solution: Float[Tensor, "n c"]
    residual: Float[Tensor, "n c"]
    direction: Float[Tensor, "n c"]
    gain: Float[Tensor, " c"]
    iterations: Int[Tensor, ""]
    shifts: Float[Tensor, "*rows c"]

    def tensors(self) -> dict[str, Tensor]:
        """By name, to be kept; `State(**tensors)` is the same again."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


AfterIteration = Callable[[State, float], None]
"""Called with the state and the largest relative residual over its tolerance."""


@dataclass(frozen=True, eq=False)
class Solution:
    """What was found.

    Attributes:
        solution: `(n, c)`.
        residuals: |b - A x| / |b| of every column, computed anew.
        iterations: how many there were.
    """

    solution: Float[Tensor, "n c"]
    residuals: Float[Tensor, " c"]
    iterations: int


def solve(
    product: Product,
    targets: Float[Tensor, "n c"],
    shifts: Float[Tensor, "*rows c"],
    precondition: Precondition,
    tolerances: Float[Tensor, " c"],
    *,
    most_iterations: int,
    start: State | None = None,
    after: AfterIteration | None = None,
) -> Solution:
    """Solve (A + diag(shift_c)) x_c = b_c for every column; those that are good enough rest.

    Args:
        product: A times vectors, `(n, m)` to `(n, m)`.
        targets: b.
        shifts: positive; `(c,)` or `(1, c)` where they are the same in every row, otherwise `(n, c)`.
        precondition: vectors and their shifts to vectors near the solutions.
        tolerances: of |b - A x| / |b| in every column; computed anew at the end it may be ten times as much, by rounding.
        most_iterations: after which the solve gives up.
        start: the state of an earlier call with the same arguments; that of a call with other shifts is not used.
        after: called after every iteration.

    Raises:
        InputError: if that many iterations do not suffice, or rounding leaves more than that.
        IndefiniteError: if A plus a shift is not positive definite.
    """
    sizes = targets.norm(dim=0)
    wanted = tolerances * sizes

    def excess(state: State) -> Tensor:
        return torch.where(sizes > 0, state.residual.norm(dim=0) / wanted, 0)

    known = start is not None and torch.equal(start.shifts, shifts)
    state = start if start is not None and known else _first(targets, shifts, precondition)
    while float((above := excess(state)).max()) > 1:
        if int(state.iterations) >= most_iterations:
            raise InputError(
                f"conjugate gradients have a relative residual of {float((above * tolerances).max()):.1e} after "
                f'{most_iterations} iterations. Pass larger ridges, or solver="exact".'
            )
        state = _step(product, state, shifts, precondition, above > 1)
        if after is not None:
            after(state, float(excess(state).max()))
    missed = targets - product(state.solution) - shifts * state.solution
    residuals = torch.where(sizes > 0, missed.norm(dim=0) / sizes, 0)
    if bool((residuals > 10 * tolerances).any()):
        raise InputError(
            f"conjugate gradients reach a relative residual of {float(residuals.max()):.1e} and no less: rounding is larger "
            'than what was asked for. Pass larger ridges, images of float64, or solver="exact".'
        )
    return Solution(state.solution, residuals, int(state.iterations))


def _first(targets: Tensor, shifts: Tensor, precondition: Precondition) -> State:
    direction = precondition(targets, shifts)
    gain = (targets * direction).sum(0)
    return State(torch.zeros_like(targets), targets.clone(), direction, gain, torch.tensor(0), shifts)


def _step(product: Product, state: State, shifts: Tensor, precondition: Precondition, moving: Tensor) -> State:
    """One iteration of the columns that move."""
    direction, gain, shift = state.direction[:, moving], state.gain[moving], shifts[..., moving]
    image = product(direction) + shift * direction
    curvature = (direction * image).sum(0)
    if not bool((curvature > 0).all()):
        raise IndefiniteError(
            "the kernel matrix plus the ridge is not positive definite as it is computed or kept: its rounding is larger than "
            'the ridge. Pass larger ridges, images of float64, or solver="exact".'
        )
    length = gain / curvature
    solution, residual = state.solution.clone(), state.residual.clone()
    solution[:, moving] += length * direction
    residual[:, moving] -= length * image
    preconditioned = precondition(residual[:, moving], shift)
    new_gain = (residual[:, moving] * preconditioned).sum(0)
    directions, gains = state.direction.clone(), state.gain.clone()
    directions[:, moving] = preconditioned + new_gain / gain * direction
    gains[moving] = new_gain
    return replace(
        state,
        solution=solution,
        residual=residual,
        direction=directions,
        gain=gains,
        iterations=state.iterations + 1,
    )
