"""What a fit takes in seconds, where it is known what its parts take."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...kernels.growth import Pairs, Powers
from ..learning.plan import Plan

LITTLE = 0.02  # share of a fit, of which a glance tells enough: it may be wrong by several times
NOTHING = Pairs(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class LayerCosts:
    """What the parts of a layer's rounds take.

    Attributes:
        matrices: the kernel matrix under the identity, and under a metric.
        agops: the average gradient outer product likewise.
        regression: all that is made of a kernel matrix.
        learning: seconds in which a metric is made of an average gradient outer product.
        arriving: seconds in which an image is brought here from the layer before.
    """

    matrices: Sequence[Pairs]
    agops: Sequence[Pairs]
    regression: Powers
    learning: float = 0.0
    arriving: float = 0.0

    def without(self, law: Pairs) -> "LayerCosts":
        """As if the part that this law is of took nothing."""
        matrices, agops = ([NOTHING if each is law else each for each in laws] for laws in (self.matrices, self.agops))
        return replace(self, matrices=matrices, agops=agops)


@dataclass(frozen=True)
class Known:
    """Laws of a layer that need not be found out: matrices and AGOPs as in `LayerCosts`, each None where it is not known."""

    matrices: Sequence[Pairs | None] = (None, None)
    agops: Sequence[Pairs | None] = (None, None)

    @property
    def is_all(self) -> bool:
        """Whether there is none that is not known."""
        return None not in (*self.matrices, *self.agops)


@dataclass(frozen=True)
class FitSize:
    """The size of one of the fits that go on side by side: the whole, and every fold.

    Attributes:
        n: training images.
        judging: images beside them that judge it.
        agop: images at which gradients are taken.
    """

    n: int
    judging: int
    agop: int

    def seconds(self, costs: LayerCosts, iteration: int, shrinkages: int) -> float:
        """Of one round, with so many metrics that are tried; the first update is by gradients under the identity."""
        matrix = costs.matrices[iteration > 0]
        seconds = matrix.symmetric_seconds(self.n) + costs.regression.seconds(self.n)
        if self.judging:
            seconds += matrix.seconds(self.judging, self.n)
        if not iteration:
            return seconds + costs.arriving * (self.n + self.judging)
        return shrinkages * seconds + costs.learning + costs.agops[iteration > 1].seconds(self.agop, self.n)


@dataclass(frozen=True)
class ExpectedRound:
    """One round: how many updates of M there were, and the seconds that it takes with what leads to it."""

    iteration: int
    seconds: float


@dataclass(frozen=True)
class Prospect:
    """What a fit will take.

    Attributes:
        plan: what is fitted.
        costs: of every layer of every candidate.
        judging: images of a selection set.
        shrinkages: of how many metrics every update chooses.
        fold_shares: the share of the images that each fold of a cross-validation holds out.
        n_test: images whose outputs are asked for after the fit, in all stages of the model.
    """

    plan: Plan
    costs: Sequence[Sequence[LayerCosts]]
    judging: int
    shrinkages: int
    fold_shares: Sequence[float]
    n_test: int = 0

    def rounds(self, n: int, agop: int) -> list[ExpectedRound]:
        """Every round in the order of the fit, with n training images and gradients at `agop` of them."""
        sizes = [FitSize(n, self.judging, agop)]
        sizes += [FitSize(round(n * (1 - s)), round(n * s), round(agop * (1 - s))) for s in self.fold_shares]
        rounds = []
        for layers in self.costs:
            for number, costs in enumerate(layers):
                tried = len(self.plan.draw.centerings) if number else 1
                for iteration in range(self.plan.n_iterations + 1):
                    seconds = sum(size.seconds(costs, iteration, self.shrinkages) for size in sizes)
                    rounds.append(ExpectedRound(iteration, seconds if iteration else tried * seconds))
        return rounds

    def seconds(self, n: int, agop: int) -> float:
        """Of the whole fit."""
        return sum(expected.seconds for expected in self.rounds(n, agop))

    def seconds_of_outputs(self, n: int) -> float:
        """Of the outputs at the test images: in every round, or in depth under the fixed kernel and every layer.

        Of several candidates the dearest one is taken to be kept.
        """
        if not self.n_test:
            return 0.0
        return max(
            sum(law.seconds(self.n_test, n) for law in _laws_of_stages(layers, self.plan.n_iterations))
            for layers in self.costs
        )

    @property
    def laws(self) -> list[Pairs]:
        """Of all matrices and AGOPs."""
        return [law for layers in self.costs for costs in layers for law in (*costs.matrices, *costs.agops)]

    def known(self, n: int, agop: int, sure: Sequence[Pairs]) -> list[list[Known]]:
        """What is known well enough of every layer of every candidate: what makes a small share of fit and of outputs.

        Args:
            n, agop: as `seconds` has them.
            sure: laws that are known well enough, whatever their share.
        """
        whole = (self.seconds(n, agop), self.seconds_of_outputs(n))

        def enough(law: Pairs) -> Pairs | None:
            others = replace(self, costs=[[layer.without(law) for layer in layers] for layers in self.costs])
            left = (others.seconds(n, agop), others.seconds_of_outputs(n))
            little = all(some - rest <= LITTLE * some for some, rest in zip(whole, left, strict=True))
            return law if little or among(law, sure) else None

        return [
            [Known([enough(law) for law in layer.matrices], [enough(law) for law in layer.agops]) for layer in layers]
            for layers in self.costs
        ]


def among(law: Pairs, laws: Sequence[Pairs]) -> bool:
    """Whether it is one of them itself, not one that equals it."""
    return any(law is other for other in laws)


def _laws_of_stages(layers: Sequence[LayerCosts], n_iterations: int) -> list[Pairs]:
    """Those of the kernel matrices of a candidate's stages."""
    fixed, *_ = layers[0].matrices
    if len(layers) > 1:
        return [fixed, *(costs.matrices[-1] for costs in layers)]
    return [fixed, *[layers[0].matrices[-1]] * n_iterations]
