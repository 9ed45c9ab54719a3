"""Every kind of layer and block once; laws run on each. Weights are random from a fixed seed, in float64."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Case:
    name: str
    build: Callable[[], nn.Module]
    image_shape: tuple[int, ...]
    layers: tuple[str, ...]

    def network(self) -> nn.Module:
        torch.manual_seed(3)
        network = self.build().double()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 2)
        return network.eval()

    def images(self, n: int = 3) -> Tensor:
        return torch.randn(n, *self.image_shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


class ResidualBlock(nn.Module):
    """Wraps a path with a shortcut, ending in an in-place activation."""

    def __init__(self, path: nn.Module, shortcut: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.path, self.shortcut, self.activation = path, shortcut, activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.path(x) + self.shortcut(x))


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 2, 1)
        self.three = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(True), nn.Conv2d(2, 3, 3, padding=1))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(3, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([torch.relu_(self.one(x)), self.three(x), self.pooled(x)], 1)


class Reused(nn.Module):
    """One convolution that runs three times, twice in a row and once at another resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.last = nn.Linear(12, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.conv(x))
        x = torch.nn.functional.gelu(self.conv(x))
        x = self.conv(nn.functional.avg_pool2d(x, 2))
        return self.last(nn.functional.adaptive_avg_pool2d(torch.tanh(x), 2).flatten(1))


def single(name: str, kind: type[nn.Module], shape: tuple[int, ...], *arguments: int, **options: object) -> Case:
    axes = len(shape) - 1
    pool = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)[axes - 1]

    def build() -> nn.Module:
        return nn.Sequential(
            kind(*arguments, **options),
            nn.ELU(inplace=True),
            nn.Tanh(),
            pool(2),
            nn.Flatten(),
            nn.Linear(arguments[1] * 2**axes, 3),
        )

    return Case(name, build, shape, ("0",))


def basic_block() -> nn.Module:
    path = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
    )
    shortcut = nn.Sequential(nn.Conv2d(3, 4, 1, stride=2, bias=False), nn.BatchNorm2d(4))
    return nn.Sequential(ResidualBlock(path, shortcut, nn.ReLU(inplace=True)), nn.Flatten(), nn.Linear(36, 3))


def bottleneck() -> nn.Module:
    path = nn.Sequential(
        nn.Conv2d(4, 2, 1, bias=False),
        nn.BatchNorm2d(2),
        nn.ReLU(inplace=True),
        nn.Conv2d(2, 2, 3, padding=1, bias=False),
        nn.BatchNorm2d(2),
        nn.ReLU(inplace=True),
        nn.Conv2d(2, 4, 1, bias=False),
        nn.BatchNorm2d(4),
    )
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), ResidualBlock(path, nn.Identity(), nn.ReLU(True)), nn.Flatten(), nn.Linear(36, 3)
    )


def inverted_residual() -> nn.Module:
    path = nn.Sequential(
        nn.Conv2d(3, 6, 1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU6(inplace=True),
        nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU6(inplace=True),
        nn.Conv2d(6, 3, 1, bias=False),
        nn.BatchNorm2d(3),
    )
    return nn.Sequential(ResidualBlock(path, nn.Identity(), nn.Identity()), nn.Flatten(), nn.Linear(75, 3))


SINGLE_LAYERS = [
    single("conv1d", nn.Conv1d, (3, 9), 3, 4, 3),
    single("conv1d strided dilated", nn.Conv1d, (3, 11), 3, 4, 3, stride=2, padding=2, dilation=2),
    single("conv2d", nn.Conv2d, (3, 5, 6), 3, 4, 3),
    single("conv2d without bias, rectangular", nn.Conv2d, (3, 5, 6), 3, 4, (3, 2), bias=False),
    single("conv2d strided", nn.Conv2d, (3, 6, 7), 3, 4, 3, stride=(2, 3), padding=(1, 2)),
    single("conv2d dilated", nn.Conv2d, (3, 7, 7), 3, 4, 3, dilation=2),
    single("conv2d same", nn.Conv2d, (3, 5, 5), 3, 4, (3, 4), padding="same"),
    single("conv2d same dilated", nn.Conv2d, (3, 5, 5), 3, 4, 3, padding="same", dilation=2),
    single("conv2d valid", nn.Conv2d, (3, 5, 5), 3, 4, 3, padding="valid"),
    single("conv2d circular", nn.Conv2d, (3, 5, 5), 3, 4, 3, padding=1, padding_mode="circular"),
    single("conv2d reflect", nn.Conv2d, (3, 5, 5), 3, 4, 3, padding=2, padding_mode="reflect"),
    single("conv2d replicate", nn.Conv2d, (3, 5, 5), 3, 4, 3, padding=1, padding_mode="replicate"),
    single("conv2d same circular", nn.Conv2d, (3, 5, 5), 3, 4, 3, padding="same", padding_mode="circular"),
    single("conv2d grouped", nn.Conv2d, (4, 5, 5), 4, 6, 3, groups=2),
    single("conv2d depthwise", nn.Conv2d, (4, 5, 5), 4, 4, 3, groups=4),
    single("conv2d depthwise, multiplier 2", nn.Conv2d, (3, 5, 5), 3, 6, 3, groups=3, padding=1),
    single("conv3d", nn.Conv3d, (2, 4, 4, 5), 2, 3, 3, padding=1),
    single("conv3d grouped, strided, dilated", nn.Conv3d, (2, 6, 5, 5), 2, 4, 2, groups=2, stride=2, dilation=2),
    single("conv3d same", nn.Conv3d, (1, 4, 4, 4), 1, 2, (2, 3, 1), padding="same"),
    single("transposed 1d", nn.ConvTranspose1d, (3, 5), 3, 4, 3, stride=2, padding=1, output_padding=1),
    single("transposed 2d", nn.ConvTranspose2d, (3, 4, 4), 3, 4, 3),
    single("transposed 2d cropped", nn.ConvTranspose2d, (3, 4, 5), 3, 4, (3, 4), stride=2, padding=(1, 2)),
    single("transposed 2d beyond the window", nn.ConvTranspose2d, (2, 3, 3), 2, 3, 2, stride=3, output_padding=2),
    single(
        "transposed 2d dilated",
        nn.ConvTranspose2d,
        (2, 4, 4),
        2,
        3,
        3,
        dilation=2,
        padding=1,
        output_padding=1,
    ),
    single("transposed 2d grouped", nn.ConvTranspose2d, (4, 3, 3), 4, 6, 3, groups=2, stride=2, output_padding=1),
    single("transposed 3d", nn.ConvTranspose3d, (2, 3, 2, 3), 2, 2, 2, stride=2),
]
BLOCKS = [
    Case("basic block", basic_block, (3, 5, 5), ("0.path.0", "0.path.3", "0.shortcut.0")),
    Case("bottleneck", bottleneck, (3, 5, 5), ("0", "1.path.0", "1.path.3", "1.path.6")),
    Case("inverted residual", inverted_residual, (3, 5, 5), ("0.path.0", "0.path.3", "0.path.6")),
    Case(
        "inception",
        lambda: nn.Sequential(Inception(), nn.Tanh(), nn.Flatten(), nn.Linear(7 * 16, 3)),
        (3, 4, 4),
        ("0.one", "0.three.0", "0.three.2", "0.pooled.1"),
    ),
    Case("reused", Reused, (3, 6, 6), ("conv",)),
    Case(
        "linear on tokens",
        lambda: nn.Sequential(nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 3), nn.Flatten(), nn.Tanh(), nn.Linear(18, 2)),
        (6, 4),
        ("0", "2"),
    ),
    Case(
        "more outputs than the last layer has inputs",
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 11)),
        (3, 5, 5),
        ("0", "4"),
    ),
]
CASES = [*SINGLE_LAYERS, *BLOCKS]
