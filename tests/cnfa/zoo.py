"""Toy networks that do something ordinary which a meter could miss: one for each, with what is to be measured of it.

Layers are given by name, each with the numbers of the products (in the order of their calls) that it makes.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize, prune
from torch.utils.checkpoint import checkpoint


@dataclass(frozen=True)
class Layer:
    """Which calls a layer makes, and where its patches are: a factor of the product and axes of that."""

    calls: Sequence[int]
    factor: int = 0
    axes: Sequence[int] = (-1,)
    groups: int = 1


@dataclass(frozen=True)
class Toy:
    name: str
    build: Callable[[], nn.Module]
    image_shape: tuple[int, ...]
    layers: Mapping[str, Layer]
    skipped: Mapping[str, str] = field(default_factory=dict)
    independent: bool = True

    def network(self) -> nn.Module:
        torch.manual_seed(5)
        network = self.build().double()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 2)
        return network.eval()

    def plain_network(self) -> nn.Module:
        """Without checkpoints, which cannot be differentiated by what is inside them."""
        network = self.network()
        network.checkpointed = False  # type: ignore[assignment]
        return network

    def images(self, n: int = 4) -> Tensor:
        return torch.randn(n, *self.image_shape, generator=torch.Generator().manual_seed(6), dtype=torch.float64)


TOYS: list[Toy] = []
IMAGE = (2, 4, 4)
TOKENS = (5, 3)


def toy(
    image_shape: tuple[int, ...],
    layers: Mapping[str, Layer | Sequence[int]],
    skipped: Mapping[str, str] | None = None,
    independent: bool = True,
) -> Callable[[Callable[[], nn.Module]], Callable[[], nn.Module]]:
    """Put a class or a function that makes a network into the zoo, under its name in words."""

    def register(build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
        words = "".join(f" {c.lower()}" if c.isupper() else c for c in build.__name__).replace("_", " ").strip()
        named = {name: given if isinstance(given, Layer) else Layer(given) for name, given in layers.items()}
        TOYS.append(Toy(words, build, image_shape, named, skipped or {}, independent))
        return build

    return register


def random_parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape))


class TwoLinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 2)

    def last(self, x: Tensor) -> Tensor:
        return torch.sin(self.b(x)).mean(1)


class TwoConv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 3, 3), nn.Linear(3, 2)

    def last(self, x: Tensor) -> Tensor:
        return torch.sin(self.b(torch.tanh(x).mean((-2, -1))))


# what happens to a result in place, and how a layer is called


@toy(TOKENS, {"a": [0], "b": [1]})
class InPlaceActivationOfTokens(TwoLinear):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(functional.relu_(self.a(x)))


@toy(TOKENS, {"a": [0], "b": [1]})
class InPlaceSumOfTokens(TwoLinear):
    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        y += x
        return self.last(y)


@toy(IMAGE, {"a": [0], "b": [1]})
class InPlaceOnASlice(TwoConv):
    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        y[:, 0] *= 3
        y[:, 1:].exp_()
        return self.last(y)


@toy(IMAGE, {"a": [0, 1, 2, 3], "b": [4]})
class ConvolutionOfSingleImages(TwoConv):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.stack([functional.relu_(self.a(image)) for image in x]))


@toy((3,), {"a": [0, 1, 2, 3], "b": [4]})
class LinearOfSingleVectors(TwoLinear):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.b(torch.stack([self.a(vector) for vector in x]).tanh()))


@toy(IMAGE, {"a": [0], "b": [1]})
class CalledByKeyword(TwoConv):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.a(input=x))


@toy(IMAGE, {"a": [0], "b": [1]})
class ForwardCalledDirectly(TwoConv):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.a.forward(x))


@toy(TOKENS, {"a": [0], "b": [1]})
class LinearThatReturnsATuple(TwoLinear):
    class Pair(nn.Linear):
        def forward(self, x: Tensor) -> tuple[Tensor, None]:
            return super().forward(x), None

    def __init__(self) -> None:
        super().__init__()
        self.a = self.Pair(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.a(x)[0]))


@toy(TOKENS, {"a": [0, 1, 2], "b": [3]})
class Recurrent(TwoLinear):
    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = torch.tanh(self.a(x))
        return self.last(x)


@toy(TOKENS, {"a": [0], "b": [1]})
class SecondNameOfAModule(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        self.again = self.a

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.again(x)))


@toy(TOKENS, {"a": [0], "c": [1], "b": [2]})
class TiedWeights(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Linear(3, 3)
        self.c.weight = self.a.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.c(torch.tanh(self.a(x)))))


@toy((3, 4, 4), {str(place): [place] for place in range(12)})
def names_that_contain_each_other() -> nn.Module:
    return nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(11)), Pooled(3))


class Pooled(nn.Linear):
    def __init__(self, width: int) -> None:
        super().__init__(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(super().forward(x.mean((2, 3))))


# layers that see no image, several, or images along another axis


@toy(TOKENS, {"p": [0], "q": [1], "b": [2]})
class PositionBias(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        self.p, self.q = nn.Linear(1, 4), nn.Linear(4, 3)
        self.register_buffer("places", torch.linspace(-1, 1, 5).unsqueeze(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(x * self.q(torch.relu(self.p(self.places)))))


@toy(IMAGE, {"a": [0], "c": Layer([1], axes=(1,)), "b": [2]})
class ExpertsByMask(TwoConv):
    """An image alone leaves one of them a batch of none."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.ConvTranspose2d(2, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        chosen = x.mean((1, 2, 3)) > 0.1
        pooled = x.new_zeros(len(x), 3)
        pooled[chosen] = torch.tanh(self.a(x[chosen])).mean((2, 3))
        pooled[~chosen] = torch.tanh(self.c(x[~chosen])).mean((2, 3))
        return torch.sin(self.b(pooled))


@toy((3,), {"a": [0, 1]}, skipped={"cdist()": "it multiplies inside cdist"})
class SharedWithPrototypes(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        del self.b
        self.register_buffer("prototypes", torch.randn(6, 3))

    def forward(self, x: Tensor) -> Tensor:
        return -torch.cdist(torch.tanh(self.a(x)), torch.tanh(self.a(self.prototypes)))


class ToPrototypes(TwoLinear):
    """Compares features with weights of its own, `w`."""

    def __init__(self) -> None:
        super().__init__()
        self.w = random_parameter(2, 3)

    def compare(self, features: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.compare(torch.tanh(self.a(x))))


@toy((3,), {"a": [0], "w": [1]})
class VectorsTimesVectors(ToPrototypes):
    def compare(self, features: Tensor) -> Tensor:
        return torch.linalg.vecdot(features[:, None], self.w)


@toy((3,), {"a": [0], "w": Layer([1], factor=1, axes=(0,))})
class VectorsTimesVectorsOverAnotherAxis(ToPrototypes):
    def compare(self, features: Tensor) -> Tensor:
        return torch.linalg.vecdot(self.w.T[:, None], features.T[..., None], dim=0)


@toy((3,), {"a": [0]}, skipped={"w": "it multiplies inside pairwise_distance"})
class PairwiseDistance(ToPrototypes):
    def compare(self, features: Tensor) -> Tensor:
        return functional.pairwise_distance(features[:, None], self.w[None])


@toy((3,), {"a": [0]}, skipped={"w": "it multiplies inside cosine_similarity"})
class CosineSimilarity(ToPrototypes):
    def compare(self, features: Tensor) -> Tensor:
        return functional.cosine_similarity(x1=features[:, None], x2=self.w, dim=-1)


@toy((3,), {"a": [0]}, skipped={"w[0:1]": "it multiplies inside cosine_similarity"})
class CosineSimilarityToOne(ToPrototypes):
    def compare(self, features: Tensor) -> Tensor:
        return functional.cosine_similarity(features, self.w[0], dim=-1)[:, None]


@toy((3,), {"a": [0]}, skipped={"w": "it multiplies inside addmm with alpha"})
class ScaledMatrixProduct(ToPrototypes):
    def compare(self, features: Tensor) -> Tensor:
        return torch.addmm(self.b.bias, features, self.w.T, alpha=0.5)


@toy((3,), {"a": [0]}, skipped={"w": "it multiplies inside einsum of 3 factors"})
class EinsumOfThree(ToPrototypes):
    def compare(self, features: Tensor) -> Tensor:
        return torch.einsum("nd,kd,k->nk", features, self.w, self.b.bias)


@toy((3,), {"a": [0]}, skipped={"cdist()": "both factors depend"})
class PrototypesInTheSameBatch(SharedWithPrototypes):
    def forward(self, x: Tensor) -> Tensor:
        z = torch.tanh(self.a(torch.cat([x, self.prototypes])))
        return -torch.cdist(z[: len(x)], z[len(x) :])


@toy((3,), {"a": [0]}, skipped={"cdist()": "both factors depend"})
class PrototypesFirst(SharedWithPrototypes):
    def forward(self, x: Tensor) -> Tensor:
        z = torch.tanh(self.a(torch.cat([self.prototypes[:4], x])))
        return -torch.cdist(z[4:], z[:4])


@toy(TOKENS, {"a": [0], "b": [1]})
class TokensFirst(TwoLinear):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.a(x.transpose(0, 1))).transpose(0, 1))


@toy((4, 3), {"a": [0], "b": [1]})
class TokensFirstAsManyAsImages(TokensFirst):
    pass


@toy((6, 3), {"a": [0], "b": [1]})
class Windows(TwoLinear):
    def forward(self, x: Tensor) -> Tensor:
        windows = torch.tanh(self.a(x.unflatten(1, (2, 3)).flatten(0, 1)))
        return self.last(windows.unflatten(0, (-1, 2)).flatten(1, 2))


@toy((6, 3), {"a": [0], "b": [1]})
class WindowsOfAllImagesTogether(TwoLinear):
    def forward(self, x: Tensor) -> Tensor:
        windows = torch.tanh(self.a(x.unflatten(1, (2, 3)).transpose(0, 1).flatten(0, 1)))
        return self.last(windows.unflatten(0, (2, -1)).transpose(0, 1).flatten(1, 2))


@toy(TOKENS, {"a": [0], "b": [1]})
class ImagesSummedInTheEnd(TwoLinear):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.b(torch.tanh(self.a(x)).flatten(0, 1))).unflatten(0, (len(x), -1)).sum(1)


# the layer that makes the outputs, and what looks like it


@toy((3,), {"a": [0], "b": [1]})
class CosineClassifier(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        self.b = self.Cosine(3, 7)

    class Cosine(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return functional.linear(functional.normalize(x), functional.normalize(self.weight))

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.tanh(self.a(x)))


@toy((3,), {"a": [0], "b": [1]})
class ScaledHead(TwoLinear):
    class Scaled(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * torch.arange(1, 8)

    def __init__(self) -> None:
        super().__init__()
        self.b = self.Scaled(3, 7)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.tanh(self.a(x)))


@toy((3,), {"0": [0], "2": [1]})
def hook_on_the_last_layer() -> nn.Module:
    network = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 7))
    network[2].register_forward_hook(lambda module, inputs, output: output * torch.arange(1, 8))
    return network


@toy((3,), {"a": [0], "b": [1]})
class LastLayerChangedInPlace(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        self.b = nn.Linear(3, 7)

    def forward(self, x: Tensor) -> Tensor:
        outputs = self.b(torch.tanh(self.a(x)))
        outputs[:, 0].mul_(4)
        return outputs


@toy((3,), {"0": [0], "2": [1]})
def softmax_of_the_last_layer() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 7), nn.Softmax(1))


@toy((3,), {"a": [0], "b": [1], "linear()": [2]})
class LastWeightMadeByALayer(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        self.b = nn.Linear(2, 3)
        self.register_buffer("tasks", torch.randn(7, 2))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.a(x))
        return functional.linear(x, torch.tanh(self.b(self.tasks)))


# one parameter, several weights


@toy(TOKENS, {"a": [0], "a:2": [1], "b": [2]})
class TiedToItsTranspose(TwoLinear):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(functional.linear(torch.tanh(self.a(x)), self.a.weight.T)))


@toy(TOKENS, {"w": [0], "w:2": [1], "b": [2]})
class MultipliedFromEitherSide(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        del self.a
        self.w = random_parameter(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(functional.linear(torch.tanh(x @ self.w), self.w))


@toy(TOKENS, {"w": [0], "w:2": [1], "b": [2]})
class ColumnsOfOneParameter(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        del self.a
        self.w = random_parameter(3, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(x @ self.w[:, :3]) + torch.sin(x @ self.w[:, 3:]))


@toy(TOKENS, {"w[0]": [0], "w[1]": [1], "rows[0:2]": [2], "rows[2:4]": [3]})
class RowsOfOneParameter(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        del self.a, self.b
        self.w, self.rows = random_parameter(2, 3, 3), random_parameter(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(x @ self.w[0]) + torch.sin(x @ self.w[1])
        return (torch.sin(functional.linear(y, self.rows[:2])) * functional.linear(y, self.rows[2:])).mean(1)


@toy(TOKENS, {"linear()": [0], "linear():2": [1]})
class WeightsMadeByTheNetwork(TwoLinear):
    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(functional.linear(x, self.a.weight.exp()))
        return torch.sin(functional.linear(y, self.b.weight.exp())).mean(1)


@toy(TOKENS, {"w": [0], "b": [1]})
class OneWeightForABatchOfProducts(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        del self.a
        self.w = random_parameter(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(torch.bmm(x, self.w.expand(len(x), 3, 3))))


# the network changes its own values


@toy(TOKENS, {"a": [0], "b": [1]})
class WeightsThatShrinkAtEveryPass(TwoLinear):
    def forward(self, x: Tensor) -> Tensor:
        self.a.weight.data.mul_(0.5)
        with torch.no_grad():
            self.b.weight.mul_(0.5)
        return self.last(torch.tanh(self.a(x)))


@toy(TOKENS, {"a": [0], "b": [1]})
class WeightsReplacedByTheirSigns(TwoLinear):
    def forward(self, x: Tensor) -> Tensor:
        self.a.weight.data = self.a.weight.data.sign()
        return self.last(torch.tanh(self.a(x)))


@toy(TOKENS, {"a": [0], "b": [1]})
class ScaledByACounter(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("passes", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        self.passes.add_(1)
        return self.last(torch.tanh(self.a(x)) * self.passes)


@toy(TOKENS, {"a": [0], "b": [1]})
class HookAddedAtEveryPass(TwoLinear):
    def forward(self, x: Tensor) -> Tensor:
        self.a.register_forward_hook(lambda module, inputs, output: output * 2)
        return self.last(torch.tanh(self.a(x)))


# hooks and forwards of the user's


@toy(IMAGE, {"0": [0], "1": [1]})
def hook_that_scales() -> nn.Module:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), Pooled(3))
    network[0].register_forward_hook(lambda module, inputs, output: output * 3)
    return network


@toy(IMAGE, {"0": [0], "1": [1]})
def hook_that_masks_channels() -> nn.Module:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), Pooled(3))
    network[0].register_forward_hook(lambda module, inputs, output: output * torch.tensor([1.0, 0, 2]).view(3, 1, 1))
    return network


@toy(IMAGE, {"0": [0], "1": [1]})
def hook_before_a_layer() -> nn.Module:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), Pooled(3))
    network[0].register_forward_pre_hook(lambda module, inputs: (inputs[0].square(),))
    return network


@toy((3,), {"a": [0], "b": [1]})
class HooksOnTheGradientsOfResults(TwoLinear):
    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        y.register_hook(lambda gradient: 2 * gradient)
        z = self.b(torch.tanh(y))
        z.register_hook(lambda gradient: 3 * gradient)
        return torch.sin(z)


@toy(IMAGE, {"a": [0], "b": [1]})
class ConvolutionThatScalesItsOutput(TwoConv):
    class Scaled(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return 3 * super().forward(x).exp()

    def __init__(self) -> None:
        super().__init__()
        self.a = self.Scaled(2, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.a(x))


# the weight that is multiplied is not the parameter


@toy(IMAGE, {"a": [0], "b": [1]})
class WeightStandardization(TwoConv):
    class Standardized(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            spread, mean = torch.std_mean(self.weight, (1, 2, 3), keepdim=True)
            return self._conv_forward(x, (self.weight - mean) / spread, self.bias)

    def __init__(self) -> None:
        super().__init__()
        self.a = self.Standardized(2, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.a(x))


class LowRank(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = random_parameter(1, 3), random_parameter(3, 1)

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.up @ self.down


@toy(TOKENS, {"0": [1], "2": [2]}, skipped={"0.parametrizations.weight.0": "neither factor depends on the image"})
def low_rank_change_of_a_weight() -> nn.Module:
    network = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2), nn.Flatten())
    parametrize.register_parametrization(network[0], "weight", LowRank())
    return network


@toy(TOKENS, {"a": [2], "b": [3], "down": [0], "up": [1]})
class LowRankBranch(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = random_parameter(2, 3), random_parameter(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        change = functional.linear(functional.linear(x, self.down), self.up)
        return self.last(torch.tanh(functional.linear(x, self.a.weight, self.a.bias) + change))


@toy(IMAGE, {"0": [0], "1": [1]})
def weight_norm() -> nn.Module:
    return nn.Sequential(parametrizations.weight_norm(nn.Conv2d(2, 3, 3)), Pooled(3))


@toy(IMAGE, {"0": [0], "1": [1]})
def weight_norm_of_old() -> nn.Module:
    return nn.Sequential(nn.utils.weight_norm(nn.Conv2d(2, 3, 3)), Pooled(3))


@toy(IMAGE, {"0": [1], "1": [2]}, skipped={"0": "neither factor depends on the image"})
def spectral_norm_of_old() -> nn.Module:
    return nn.Sequential(nn.utils.spectral_norm(nn.Conv2d(2, 3, 3)), Pooled(3))


@toy(IMAGE, {"0": [0], "1": [1]})
def pruned() -> nn.Module:
    convolution = nn.Conv2d(2, 3, 3)
    prune.l1_unstructured(convolution, "weight", amount=0.5)
    return nn.Sequential(convolution, Pooled(3))


class Signs(Function):
    @staticmethod
    def forward(ctx: object, weight: Tensor) -> Tensor:
        return weight.sign()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient


@toy(IMAGE, {"conv2d()": [0], "b": [1]})
class BinaryWeights(TwoConv):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(functional.conv2d(x, Signs.apply(self.a.weight.detach()), self.a.bias))


@toy(IMAGE, {"a": [0], "b": [1]})
class QuantizationAware(TwoConv):
    class Rounded(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            weight = torch.fake_quantize_per_tensor_affine(self.weight.float(), 0.1, 0, -128, 127).to(x.dtype)
            return self._conv_forward(x, weight, self.bias)

    def __init__(self) -> None:
        super().__init__()
        self.a = self.Rounded(2, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.a(x))


# the images themselves


@toy(IMAGE, {"a": [0], "b": [1]})
class ImagesNormalizedInPlace(TwoConv):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.a(x.sub_(0.5).div_(0.25)))


@toy(IMAGE, {"1": [0], "2": [1]})
def images_through_an_in_place_activation() -> nn.Module:
    return nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(2, 3, 3), Pooled(3))


@toy(IMAGE, {"0": [0], "3": [1]}, independent=False)
def batch_norm_without_running_statistics() -> nn.Module:
    norm = nn.BatchNorm2d(3, track_running_stats=False)
    return nn.Sequential(nn.Conv2d(2, 3, 3), norm, nn.Tanh(), Pooled(3))


@toy(TOKENS, {"a": [0], "b": [2]}, skipped={"matmul()": "its weight is a constant"}, independent=False)
class AttentionAcrossImagesOfEqualValues(TwoLinear):
    """The values of an image's outputs are the same alone; their gradients reach other images."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(functional.layer_norm(x[..., :1], (1,)).expand(-1, -1, 3) + 1)
        y = y.sum(2)
        mixed = (torch.eye(len(x), dtype=x.dtype) / 2 + 1 / (2 * len(x))) @ y
        return self.last(mixed.unsqueeze(2) * x)


@toy(TOKENS, {"a": [0], "b": [1]}, independent=False)
class EarlierImagesReachLaterOnes(TwoLinear):
    """As where a recurrent layer takes the images of a batch for steps: the first has the outputs that it has alone."""

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.a(x)).cumsum(0))


@toy((6, 3), {"a": [0], "b": [1]})
class ImagesBetweenOtherAxes(TwoLinear):
    def forward(self, x: Tensor) -> Tensor:
        windows = torch.tanh(self.a(x.unflatten(1, (2, 3)).transpose(0, 1).flatten(0, 2)))
        return self.last(windows.unflatten(0, (2, -1, 3)).transpose(0, 1).flatten(1, 2))


@toy(IMAGE, {"a": [0], "b": [1]})
class BatchNormWithChannelsLastGradient(TwoConv):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.weights = random_parameter(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(self.a(x)).flatten(2).transpose(1, 2) * self.weights
        return torch.sin(self.b(tokens.sum(1)))


# functional calls


@toy(TOKENS, {"w": [0], "b": [1]})
class FactorsByName(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        self.w = random_parameter(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.matmul(other=self.w, input=x))


@toy(IMAGE, {"kernel": [0], "b": [1]})
class FunctionalConvolution(TwoConv):
    def __init__(self) -> None:
        super().__init__()
        self.kernel = random_parameter(3, 2, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(functional.conv2d(x, self.kernel, stride=(1, 2), padding=1))


@toy(IMAGE, {"kernel": Layer([0], groups=2), "b": [1]})
class FunctionalGroupedConvolution(TwoConv):
    def __init__(self) -> None:
        super().__init__()
        self.kernel = random_parameter(4, 1, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(functional.conv2d(x, self.kernel, groups=2)[:, :3])


@toy(IMAGE, {"kernel": Layer([0], axes=(1,)), "b": [1]})
class FunctionalTransposedConvolution(TwoConv):
    def __init__(self) -> None:
        super().__init__()
        self.kernel = random_parameter(2, 3, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(functional.conv_transpose2d(x, self.kernel, stride=2))


@toy(TOKENS, {"right": [0], "left": Layer([1], factor=1, axes=(1,)), "b": [2]})
class MatrixProducts(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        self.right, self.left = random_parameter(3, 3), random_parameter(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.left @ torch.tanh(x @ self.right)))


@toy(TOKENS, {"mixing": Layer([0], axes=(1, 2)), "b": [1]})
class EinsumOverTwoAxes(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        self.mixing = random_parameter(5, 3, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(torch.einsum("ntd,tdsr->nsr", x, self.mixing)))


@toy(TOKENS, {"mixing": [0], "b": [1]})
class EinsumWithoutAnArrow(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        del self.a
        self.mixing = random_parameter(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(torch.einsum("...c, cd", x, self.mixing)))


@toy((4, 5, 3), {"heads": Layer([0], axes=(1, 3), groups=4), "b": [1]})
class EinsumWithHeads(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        self.heads = random_parameter(4, 3, 2)
        self.b = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(
            torch.tanh(torch.einsum("n h t d, h d r -> t n h r", x, self.heads)).permute(1, 0, 2, 3).flatten(1, 2)
        )


@toy((4, 5, 3), {"heads": Layer([0], axes=(1, 3), groups=4), "b": [1]})
class BroadcastMatrixProduct(EinsumWithHeads):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(x @ self.heads).flatten(1, 2))


@toy(TOKENS, {"mixing": Layer([0], axes=(1, 2)), "b": [1]})
class Tensordot(EinsumOverTwoAxes):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(torch.tensordot(x, self.mixing, 2)))


@toy(TOKENS, {"a": [0], "b": [1]})
class TransposedLinearOfLanguageModels(TwoLinear):
    class Conv1D(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.bias = random_parameter(3, 3), random_parameter(3)

        def forward(self, x: Tensor) -> Tensor:
            return torch.addmm(self.bias, x.view(-1, 3), self.weight).view(*x.shape[:-1], 3)

    def __init__(self) -> None:
        super().__init__()
        self.a = self.Conv1D()  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.a(x)))


ATTENTION = "both factors depend on the image"


@toy((5, 4), {"a.in_proj_weight": [0], "a.out_proj": Layer([1]), "b": [2]}, skipped={"a": ATTENTION})
class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.b(self.a(x, x, x, need_weights=False)[0])).mean(1)


@toy(
    (5, 4),
    {name: [place] for place, name in enumerate(("a.in_proj_weight[0:4]", "a.in_proj_weight[4:12]"))}
    | {"a.out_proj": [2], "b": [3]},
    skipped={"a": ATTENTION},
)
class AttentionToLearnedQueries(Attention):
    def forward(self, x: Tensor) -> Tensor:
        y = x.flip(1).clone()
        return torch.sin(self.b(self.a(x, y, y, need_weights=False)[0])).mean(1)


# what cannot be measured is said


@toy(IMAGE, {"b": [2], "route": [0]}, skipped={"conv2d()": "its weight depends on the image"})
class ConditionalConvolution(TwoConv):
    def __init__(self) -> None:
        super().__init__()
        del self.a
        self.experts, self.route = random_parameter(2, 3, 2, 3, 3), nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        routes = torch.sigmoid(self.route(x.mean((2, 3))))
        kernels = (routes.view(-1, 2, 1, 1, 1, 1) * self.experts).sum(1)
        y = functional.conv2d(x.flatten(0, 1).unsqueeze(0), kernels.flatten(0, 1), groups=len(x))
        return self.last(y.unflatten(1, (len(x), 3)).squeeze(0))


@toy(TOKENS, {"b": [0]}, skipped={f"a.weight_{which}_l0": "it multiplies inside lstm" for which in ("ih", "hh")})
class RecurrentCells(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.LSTM(3, 3, batch_first=True)  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.a(x)[0])


@toy(TOKENS, {"b": [1]}, skipped={"a": "no gradient reaches it"})
class Detached(TwoLinear):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.a(x)).detach())


@toy(TOKENS, {"b": [1]}, skipped={"a": "it runs without gradients"})
class PartlyWithoutGradient(TwoLinear):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x = torch.tanh(self.a(x))
        return self.last(x)


@toy(IMAGE, {"b": [1]}, skipped={"wave": "it is complex"})
class ComplexConvolution(TwoConv):
    def __init__(self) -> None:
        super().__init__()
        self.wave = random_parameter(3, 2, 3, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(functional.conv2d(x.to(torch.complex128), torch.view_as_complex(self.wave)).abs())


@toy(IMAGE, {"a": [1], "b": [2]}, skipped={"conv2d()": "its weight is a constant"})
class ConstantBlur(TwoConv):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.a(functional.conv2d(x, torch.ones(2, 1, 2, 2, dtype=x.dtype), groups=2, padding=1)))


@toy(TOKENS, {"b": [3], "a": [0]}, skipped={"matmul()": ATTENTION})
class ProductOfActivations(TwoLinear):
    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(self.a(x))
        return self.last(torch.softmax(y @ x.mT, -1) @ y)


@toy((3,), {"b": [0], "experts.0": [1], "experts.1": [2]})
class MixtureOfExperts(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        del self.a
        self.experts = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])

    def forward(self, x: Tensor) -> Tensor:
        gates, y = self.b(x).softmax(1), torch.zeros_like(x)
        for expert, layer in enumerate(self.experts):
            routed = (x[:, 0] > 0) == bool(expert)
            if routed.any():
                y[routed] += torch.tanh(layer(x[routed])) * gates[routed, expert : expert + 1]
        return y


@toy((3,), {"a": [0], "b": [1], "c": [2]})
class EarlyExit(TwoLinear):
    """Images of which the first layers are sure leave; the others go on."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        features = torch.tanh(self.a(x))
        outputs = torch.sin(self.b(features))
        unsure = outputs[:, 0] < outputs[:, 1]
        if unsure.any():
            outputs = outputs.clone()
            outputs[unsure] = torch.sin(self.c(features[unsure]))
        return outputs


@toy((3,), {"w": [0, 1, 2, 3], "b": [4]})
class DotProducts(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        self.w, self.b = random_parameter(3), nn.Linear(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.b(torch.tanh(torch.stack([torch.dot(vector, self.w) for vector in x])).unsqueeze(1)))


@toy(TOKENS, {"b": [0]}, skipped={"a": "it multiplies inside bilinear"})
class Bilinear(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Bilinear(3, 3, 3)  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.a(x, x)))


@toy((3,), {"b": [1]}, skipped={"w": "it multiplies inside addmm_"})
class ProductAddedInPlace(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        self.w = random_parameter(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.b(torch.zeros_like(x).addmm_(x, self.w)))


@torch.library.custom_op("zoo::weighted", mutates_args=())
def weighted(x: Tensor, weight: Tensor) -> Tensor:
    """Stands for a kernel of another library."""
    return x @ weight


weighted.register_autograd(
    lambda ctx, gradient: (gradient @ ctx.saved_tensors[1].mT, ctx.saved_tensors[0].mT @ gradient),
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
)


@toy((3,), {"a": [0], "b": [1]}, skipped={"w": "it multiplies inside weighted"})
class KernelOfAnotherLibrary(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        self.w = random_parameter(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.b(torch.tanh(weighted(torch.tanh(self.a(x)), self.w))))


@toy(TOKENS, {"b": [1]}, skipped={"c": "it multiplies inside"})
class MappedOverImages(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        del self.a
        self.c = random_parameter(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.vmap(lambda tokens: functional.linear(tokens, self.c))(x))


@toy(TOKENS, {"b": [1]}, skipped={"a": "it multiplies inside"})
class GradientOfAFunctionInside(TwoLinear):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.func.grad(lambda tokens: torch.tanh(self.a(tokens)).sum())(x))


@toy(TOKENS, {"b": [0]}, skipped={"a": "in a thread of its own"})
class InAThreadOfItsOwn(TwoLinear):
    def forward(self, x: Tensor) -> Tensor:
        with ThreadPoolExecutor(1) as threads:
            y = threads.submit(lambda: torch.tanh(self.a(x))).result()
        return self.last(y)


@toy(TOKENS, {"b": [1]}, skipped={"a": "it multiplies inside linear"})
class NestedTokens(TwoLinear):
    def forward(self, x: Tensor) -> Tensor:
        nested = torch.nested.as_nested_tensor(list(x), layout=torch.jagged)
        return self.last(torch.tanh(torch.nested.to_padded_tensor(self.a(nested), 0.0)))


@toy(TOKENS, {"b": [0]}, skipped={"_sparse_mm()": "it multiplies inside _sparse_mm"})
class SparseWeight(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        del self.a
        self.weight = random_parameter(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        columns = torch.sparse.mm(self.weight.to_sparse(), x.flatten(0, 1).T)
        return self.last(torch.tanh(columns.T.view_as(x)))


@toy(TOKENS, {"b": [0]}, skipped={"prototypes": "it multiplies inside cdist"})
class DistancesToPrototypes(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        del self.a
        self.prototypes = random_parameter(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(torch.cdist(x, self.prototypes.expand(len(x), 3, 3))))


@toy(TOKENS, {"a": [0], "b": [1]})
class ReentrantCheckpoint(TwoLinear):
    checkpointed = True

    def forward(self, x: Tensor) -> Tensor:
        def part(x: Tensor) -> Tensor:
            return torch.tanh(self.a(x))

        return self.last(checkpoint(part, x, use_reentrant=True) if self.checkpointed else part(x))


@toy(TOKENS, {"a": [0], "b": [1]})
class FrozenInACheckpoint(TwoLinear):
    checkpointed = True

    def __init__(self) -> None:
        super().__init__()
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        def part(x: Tensor) -> Tensor:
            return torch.sin(self.a(x)).exp()

        return self.last(checkpoint(part, x, use_reentrant=False) if self.checkpointed else part(x))


@toy(TOKENS, {"a": [0], "b": [1]})
def frozen() -> nn.Module:
    return InPlaceSumOfTokens().requires_grad_(False)


@toy(TOKENS, {"a": [0], "b": [1]})
class CacheThatKeepsAGraph(TwoLinear):
    def __init__(self) -> None:
        super().__init__()
        self.bias = random_parameter(5)
        self.cache: dict[str, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        if not self.training and "bias" not in self.cache:
            self.cache["bias"] = self.bias.exp().unsqueeze(1)
        return self.last(torch.tanh(self.a(x)) * self.cache["bias"])
