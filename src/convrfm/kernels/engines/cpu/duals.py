"""Which compiled formulas serve an activation: a number in place of an object, told from the list of activations."""

from typing import Any

from ...activations import ACTIVATIONS
from ...activations.activation import Activation
from ...activations.lane_activation import LaneActivation, Variances
from ...lanes.vectors import inlined

START, NONE, FIRST_FAMILY = range(3)  # START: a covariance that no layer has met; NONE: no activation
FAMILIES = list(dict.fromkeys(a.formulas for a in ACTIVATIONS if issubclass(a, LaneActivation)))


def is_compiled(activation: Activation) -> bool:
    """Whether it has compiled formulas."""
    return isinstance(activation, LaneActivation) and activation.formulas in FAMILIES


def family(activation: Activation | None) -> tuple[int, float, float]:
    """Which formulas serve an activation, and their constants."""
    if activation is None:
        return NONE, 0.0, 0.0
    compiled = _compiled(activation)
    return FIRST_FAMILY + FAMILIES.index(compiled.formulas), *compiled.constants


def norm_and_inverse_root(activation: Activation, q: Variances) -> tuple[Variances, Variances]:
    """One image's norms and inverse roots."""
    return _compiled(activation).norm_and_inverse_root(q)


def _compiled(activation: Activation) -> LaneActivation:
    if not isinstance(activation, LaneActivation):
        raise NotImplementedError(f"{activation} has no compiled formulas")  # `obstacle` keeps it away
    return activation


def _dual_from(place: int) -> Any:
    """The dual of this family and of those after it in the list, by their numbers."""
    dual, number = FAMILIES[place].dual, FIRST_FAMILY + place
    if place == len(FAMILIES) - 1:

        @inlined
        def last(kind: Any, met: Any) -> Any:
            return dual(met)

        return last
    others = _dual_from(place + 1)

    @inlined
    def by_kind(kind: Any, met: Any) -> Any:
        if kind == number:
            return dual(met)
        return others(kind, met)

    return by_kind


def _pullback_from(place: int) -> Any:
    """The same of pullbacks."""
    pullback, number = FAMILIES[place].pullback, FIRST_FAMILY + place
    if place == len(FAMILIES) - 1:

        @inlined
        def last(kind: Any, met: Any, K_bar: Any, k0_bar: Any, tiny: Any) -> Any:
            return pullback(met, K_bar, k0_bar, tiny)

        return last
    others = _pullback_from(place + 1)

    @inlined
    def by_kind(kind: Any, met: Any, K_bar: Any, k0_bar: Any, tiny: Any) -> Any:
        if kind == number:
            return pullback(met, K_bar, k0_bar, tiny)
        return others(kind, met, K_bar, k0_bar, tiny)

    return by_kind


dual_of_kind = _dual_from(0)
pullback_of_kind = _pullback_from(0)
