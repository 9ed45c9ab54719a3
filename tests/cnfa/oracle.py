"""The independent route: unfold every patch, let it be a variable of its own, differentiate each output by it.

A layer is replaced by a plain loop over its window: patches are gathered by index, and the loop's result is what the
rest of the network continues from. Nothing here knows that the AGOP has the form `W^T G W`.
"""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import pad


def padded(layer: nn.Module, x: Tensor) -> Tensor:
    if layer.padding == "same":
        widths = [
            ((d * (k - 1)) // 2, d * (k - 1) - (d * (k - 1)) // 2)
            for k, d in zip(layer.kernel_size, layer.dilation, strict=True)
        ]
    elif layer.padding == "valid":
        widths = [(0, 0)] * len(layer.kernel_size)
    else:
        widths = [(p, p) for p in layer.padding]
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    return pad(x, [w for width in reversed(widths) for w in width], mode=mode)


def convolution_patches(layer: nn.Module, x: Tensor) -> tuple[Tensor, list[int]]:
    """All patches `(n, positions, channels * window)` and the shape of the grid of positions."""
    x = padded(layer, x)
    grid = [
        (size - d * (k - 1) - 1) // s + 1
        for size, k, d, s in zip(x.shape[2:], layer.kernel_size, layer.dilation, layer.stride, strict=True)
    ]
    patches = []
    for u in itertools.product(*map(range, grid)):
        window = tuple(
            slice(i * s, i * s + d * (k - 1) + 1, d)
            for i, s, k, d in zip(u, layer.stride, layer.kernel_size, layer.dilation, strict=True)
        )
        patches.append(x[(slice(None), slice(None), *window)].flatten(1))
    return torch.stack(patches, 1), grid


def convolve(layer: nn.Module, patches: Tensor, grid: list[int]) -> Tensor:
    """The convolution from its patches, group by group."""
    channels = patches.shape[-1] // layer.groups
    rows = layer.out_channels // layer.groups
    filters = layer.weight.flatten(1)
    groups = [
        patches[..., g * channels : (g + 1) * channels] @ filters[g * rows : (g + 1) * rows].T
        for g in range(layer.groups)
    ]
    z = torch.cat(groups, -1)
    z = z if layer.bias is None else z + layer.bias
    return z.transpose(1, 2).unflatten(2, grid)


def transposed_patches(layer: nn.Module, x: Tensor) -> tuple[Tensor, list[int]]:
    return x.flatten(2).transpose(1, 2), list(x.shape[2:])


def convolve_transposed(layer: nn.Module, patches: Tensor, grid: list[int]) -> Tensor:
    """Every input position adds its window to the output."""
    full = [
        (size - 1) * s + d * (k - 1) + 1 + o
        for size, s, d, k, o in zip(
            grid, layer.stride, layer.dilation, layer.kernel_size, layer.output_padding, strict=True
        )
    ]
    z = patches.new_zeros(patches.shape[0], layer.out_channels, *full)
    c_in, c_out = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    for place, u in enumerate(itertools.product(*map(range, grid))):
        window = tuple(
            slice(i * s, i * s + d * (k - 1) + 1, d)
            for i, s, k, d in zip(u, layer.stride, layer.kernel_size, layer.dilation, strict=True)
        )
        for g in range(layer.groups):
            vector = patches[:, place, g * c_in : (g + 1) * c_in]
            added = torch.einsum("ni,io...->no...", vector, layer.weight[g * c_in : (g + 1) * c_in])
            rows = slice(g * c_out, (g + 1) * c_out)
            z = z.clone()
            z[(slice(None), rows, *window)] = z[(slice(None), rows, *window)] + added
    crop = tuple(slice(p, size - p) for p, size in zip(layer.padding, full, strict=True))
    z = z[(slice(None), slice(None), *crop)]
    return z if layer.bias is None else z + layer.bias.reshape(-1, *(1,) * len(grid))


def forward_with_free_patches(layer: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """The layer's output as a function of patches `(n, positions, d)` that are leaves."""
    if isinstance(layer, nn.Linear):
        patches = x.detach().reshape(x.shape[0], -1, x.shape[-1]).clone().requires_grad_()
        z = patches @ layer.weight.T
        z = z if layer.bias is None else z + layer.bias
        return z.reshape(*x.shape[:-1], layer.out_features), patches
    transposed = isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
    gathered, grid = (transposed_patches if transposed else convolution_patches)(layer, x.detach())
    patches = gathered.clone().requires_grad_()
    return (convolve_transposed if transposed else convolve)(layer, patches, grid), patches


def oracle_agop(
    network: nn.Module, images: Tensor, layer: nn.Module, head: Callable[[Tensor], Tensor] = lambda out: out
) -> Tensor:
    """The whole `(d, d)` patch-AGOP, summed over the uses of the layer; the network must be in evaluation mode."""
    free: list[Tensor] = []

    def replaced(x: Tensor, *_: object) -> Tensor:
        z, patches = forward_with_free_patches(layer, x)
        free.append(patches)
        # patches are leaves; the value of z also keeps depending on x, so that earlier uses of the layer stay connected
        return z + original(x) - original(x).detach()

    original, layer.forward = layer.forward, replaced
    try:
        outputs = head(network(images))
        agop = torch.zeros(())
        for o in range(outputs.shape[1]):
            for gradient in torch.autograd.grad(outputs[:, o].sum(), free, retain_graph=True):
                agop = agop + torch.einsum("npd,npe->de", gradient, gradient)
    finally:
        layer.forward = original
    return agop / images.shape[0]
