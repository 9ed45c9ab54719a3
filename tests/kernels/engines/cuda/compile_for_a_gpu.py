"""Compile every Triton program that kernels and their gradients launch, for a GPU that need not be there.

Run by a test in a process of its own: the interpreter of the other tests runs what Triton's compiler refuses.
"""

from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime import JITFunction

from convrfm import kernels
from convrfm.kernels.engines.cuda import engine

HOPPER = GPUTarget("cuda", 90, 32)


def type_of(value: Any) -> Any:
    """As Triton's launcher names it."""
    if isinstance(value, tuple):
        return tuple(map(type_of, value))
    if isinstance(value, torch.Tensor):
        return {torch.float32: "*fp32", torch.int32: "*i32"}[value.dtype]
    return {int: "i32", float: "fp32"}[type(value)]


def compile_instead(program: JITFunction, *args: Any, grid: Any, warmup: bool, **keywords: Any) -> None:
    """In place of a launch; what that would have filled is zero."""
    names = [parameter.name for parameter in program.params]
    constants = {name: value for name, value in keywords.items() if name in names}
    options = {name: value for name, value in keywords.items() if name not in names}
    signature = {name: type_of(value) for name, value in zip(names, args, strict=False)}
    signature |= dict.fromkeys(constants, "constexpr")
    source = ASTSource(program, signature, constexprs=constants)
    triton.compile(source, target=HOPPER, options=options)
    for tensor in filter(torch.is_tensor, args):
        tensor.zero_()
    print(program.__name__, constants)


def main() -> None:
    engine.INTERPRETED = True
    JITFunction.run = compile_instead
    padded = kernels.Architecture(
        kernels.Conv(3), kernels.ReLU(), kernels.Conv(3, padding="same"), kernels.ReLU(), kernels.Flatten()
    )
    pooled = kernels.Architecture(kernels.Conv(3), kernels.ReLU(), kernels.AvgPool(2), kernels.Flatten())
    strided = kernels.Architecture(
        kernels.Conv(3), kernels.ReLU(), kernels.Conv(3, stride=2), kernels.ReLU(), kernels.Flatten()
    )
    x = torch.randn(2, 1, 12, 12)
    for kind, architecture in (
        (kernels.NTK, kernels.vanilla(2)), (kernels.NNGP, padded), (kernels.NTK, pooled), (kernels.NNGP, strided)
    ):  # fmt: skip
        kernel = kind(architecture, engine="cuda")
        kernel(x)
        kernel.patch_gradients(x, x, torch.randn(2, 1))


if __name__ == "__main__":
    main()
