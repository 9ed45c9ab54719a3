"""(d) CIFAR-10: the flat NTK of depth 3 of all 50,000 images, and what it learns from those that are at hand."""

from collections.abc import Iterator

import torch
from torch import Tensor

from convrfm import kernels
from convrfm.experiments.small_data.images import read_atlases

from .clock import timed
from .session import Line, Session

ALL = 50_000
GRADIENTS = 5000  # images at which the AGOP is taken
RIDGE = 1e-3  # of the kernel's largest entry


def cifar(session: Session) -> Iterator[Line]:
    """The kernel matrix of random images of the data's size, then the fit of real ones with one update of M."""
    shape, n = ((3, 5, 5), 4) if session.tiny else ((3, 32, 32), ALL)
    kernel = kernels.NTK(kernels.vanilla(1 if session.tiny else 3), engine=session.engine)
    x = torch.randn(n, *shape, generator=torch.Generator().manual_seed(0)).to(session.device)
    session.memory  # noqa: B018
    taken, K = timed(lambda: kernel(x), session.device)
    few = torch.arange(min(n, 100), device=x.device) * (n // min(n, 100))
    part = kernels.NTK(kernel.architecture, engine="reference")(x[few].double())
    error = float((K[few][:, few] - part).norm() / part.norm())
    yield {
        "name": f"K of {n} images",
        "seconds": taken,
        "memory_gb": session.memory / 1e9,
        "error_at_100_images": error,
    }
    del K
    yield from _learned(session, kernel)


def _learned(session: Session, kernel: kernels.NTK) -> Iterator[Line]:
    folder = None if session.data is None else session.data / "cifar10"
    if folder is None or not folder.exists():
        yield {"name": "accuracy", "left_out": "cifar10 is not in the folder that --data names"}
        return
    (x, y), (x_test, y_test) = (_images(session, part) for part in ("train", "test"))
    if session.tiny:
        x, y, x_test, y_test = x[:6, :, :5, :5], y[:6], x_test[:4, :, :5, :5], y_test[:4]
    targets = torch.nn.functional.one_hot(y, 10).double() - 0.1
    M = None
    for update in (0, 1):
        taken, K = timed(lambda M=M: kernel(x, feature_matrix=M), session.device)
        scale = float(K.max())
        solving, alpha = timed(lambda K=K, scale=scale: _solved(K, RIDGE * scale, targets), session.device)
        del K
        outputs = kernel(x_test, x, feature_matrix=M) @ alpha
        yield {
            "name": f"{len(x)} training images, {update} updates of M",
            "accuracy": float((outputs.argmax(1) == y_test).double().mean()),
            "test_images": len(x_test),
            "kernel_seconds": taken,
            "solver_seconds": solving,
        }
        if update == 0:
            some = x[:GRADIENTS]
            taken, agop = timed(lambda alpha=alpha, some=some: kernel.agop(some, x, alpha), session.device)
            yield {"name": f"AGOP at {len(some)} images", "seconds": taken}
            M = agop * (len(agop) / agop.trace())


def _solved(K: Tensor, ridge: float, targets: Tensor) -> Tensor:
    """Ridge regression in double precision."""
    regularized = K.double()
    regularized.diagonal().add_(ridge)
    return torch.cholesky_solve(targets, torch.linalg.cholesky(regularized)).float()


def _images(session: Session, part: str) -> tuple[Tensor, Tensor]:
    """As many as there are, less 0.5 and over 0.25, and the numbers of their classes."""
    assert session.data is not None
    x, labels = read_atlases(session.data / "cifar10", part)
    images = torch.from_numpy(x).to(session.device).float().div_(255).sub_(0.5).div_(0.25)
    return images, torch.from_numpy(labels[: len(x)]).long().to(session.device)
