"""What every kernel with a metric on patches has: its matrix, and from its gradient with respect to patches the AGOP."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..maths.agop import random_sign_outputs
from ..maths.precision import full_precision
from ..maths.psd import psd_factor
from ..maths.windows import Window
from .arrays import accepts_numpy, check_batch
from .devices import chosen_device, default_budget
from .forecast import Forecast, images_to_time
from .growth import THOROUGHLY, measured_pairs
from .integers import positive_integer
from .patch_gradients import PatchGradients
from .ranges import check_coefficients, check_squares, finite
from .recording import recorded_by_one_thread
from .scales import is_finite
from .threads import one_torch_thread

Progress = Callable[[int, int], None]


class PatchKernel(ABC):
    """A kernel on images that compares patches under a metric M = L^T L.

    What is public is here, with its checks. A kernel says what remains, on checked tensors and with the factor L `(r, d)`
    of the metric, None for the identity: `window`, `check_image_size`, `matrix`, `own` and `gradients`. Kernels are frozen
    dataclasses: files keep their fields. One that keeps to a budget has a field `memory_budget`, one that drops eigenvectors
    of M `rank_tolerance`.
    """

    memory_budget: int | None = None
    rank_tolerance: float = 0.0

    @accepts_numpy
    @one_torch_thread()
    def __call__(
        self,
        x: Tensor,
        z: Tensor | None = None,
        *,
        feature_matrix: Tensor | None = None,
        progress: Progress | None = None,
    ) -> Float[Tensor, "n m"]:
        """The kernel matrix.

        Args:
            x: images `(n, c, h, w)`, float32 or float64.
            z: images `(m, c, h, w)`; None for x itself, which takes half the time.
            feature_matrix: the metric M on patches, `(d, d)`, symmetric and positive semidefinite; None for the
                identity.
            progress: called with the number of tiles done and of all tiles.

        Returns:
            `(n, m)`, where the images lie; but in the memory of the CPU where a GPU has no room for it beside
            `memory_budget`: every tile goes there while the next one is computed.

        Raises:
            InputError: on images of other shapes, types or sizes than the kernel takes, a wrong metric, or a matrix that
                this machine has no room for.
        """
        return finite("the kernel matrix", self.matrix(x, z, self._check(x, z, feature_matrix), progress), x)

    @accepts_numpy
    @one_torch_thread()
    def diagonal(self, x: Tensor, *, feature_matrix: Tensor | None = None) -> Float[Tensor, " n"]:
        """K(x, x) of every image, `(n,)`, at the cost of n pairs at most."""
        return finite("the kernel's diagonal", self.own(x, self._check(x, None, feature_matrix)), x)

    @accepts_numpy
    @one_torch_thread()
    def patch_gradients(
        self,
        x: Tensor,
        z: Tensor,
        dual_coef: Tensor,
        *,
        feature_matrix: Tensor | None = None,
    ) -> Float[Tensor, "n k positions d"]:
        """The gradient of f_o(x) = sum_i dual_coef[i, o] K(x, z_i) with respect to every patch of x.

        Every patch counts as a variable of its own and M as constant. Where a patch of x coincides with the one it
        meets, the NTK of a ReLU network and the Laplace kernel have a kink; the gradient there is the midpoint of the
        one-sided ones.

        For small inputs, teaching and tests: `agop` never forms this array.

        Returns:
            `(n, k, positions, d)`, positions row by row.
        """
        factor = self._check(x, z, feature_matrix, dual_coef)
        with recorded_by_one_thread(x, z, dual_coef, factor):
            return finite("the gradient", self.gradients(x, z, dual_coef, factor, None).whole(), x)

    @accepts_numpy
    @one_torch_thread()
    def agop(
        self,
        x: Tensor,
        z: Tensor,
        dual_coef: Tensor,
        *,
        feature_matrix: Tensor | None = None,
        weights: Tensor | None = None,
        probes: int | None = None,
        generator: torch.Generator | None = None,
        progress: Progress | None = None,
    ) -> Float[Tensor, "d d"]:
        """The average gradient outer product over patches of f_o(x) = sum_i dual_coef[i, o] K(x, z_i) (Eq. 2).

        Args:
            x: images at which the gradient is taken.
            z: the training images.
            dual_coef: `(m, k)`, one column for each output.
            feature_matrix: the metric M of the kernel, `(d, d)`; None for the identity.
            weights: of the images of x in the mean, `(n,)`, not negative; None for equal ones.
            probes: None for the exact sum over outputs, or how many random-sign mixtures of outputs estimate it without
                bias; worthwhile where k is large.
            generator: draws the signs; required with `probes`.
            progress: called with the number of parts done and of all parts.

        Returns:
            `(d, d)`: the (weighted) mean over images, the sum over positions and outputs, of gradient times its transpose.
        """
        factor = self._check(x, z, feature_matrix, dual_coef)
        check_coefficients("dual_coef", dual_coef)
        if probes is not None:
            if not isinstance(generator, torch.Generator):
                raise InputError(
                    f"probes need a generator of torch; got {type(generator).__name__}.",
                    in_python="Pass generator=torch.Generator().manual_seed(0).",
                )
            dual_coef = random_sign_outputs(dual_coef, positive_integer("probes", probes), generator)
        roots = None if weights is None else mean_one(weights, x).sqrt()
        with recorded_by_one_thread(x, z, dual_coef, factor, roots):
            outer_products = self.gradients(x, z, dual_coef, factor, progress).sum_of_outer_products(roots)
        return finite("the average gradient outer product", outer_products / len(x), x)

    @full_precision()
    def forecast(
        self,
        n: int,
        m: int | None,
        image_shape: tuple[int, int, int],
        *,
        outputs: int | None = None,
        feature_matrix: Float[Tensor, "d d"] | None = None,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Forecast:
        """How long a call will take and how much memory, before it is made: small ones are timed on this machine.

        Args:
            n: images x.
            m: images z; None for `kernel(x)`.
            image_shape: `(c, h, w)`.
            outputs: None for the kernel matrix; a number k for `agop(x, z, dual_coef)`.
            feature_matrix: the metric of the call, `(d, d)`.
            device: where the images will be.
            dtype: their type; NumPy's arrays are float64 unless made otherwise, which takes about twice as long.

        Returns:
            `.seconds`, and `.bytes` of the result and of temporaries at most; as a text, both.

        Raises:
            InputError: for images too small for the kernel, sizes that are none, and images of which memory cannot hold a few.

        Example:
            >>> from convrfm.kernels import NTK, vanilla
            >>> NTK(vanilla(1)).forecast(100, 20, (1, 8, 8)).bytes == 100 * 20 * 4 + 2**29
            True
        """
        n, others = positive_integer("n", n), n if m is None else positive_integer("m", m)
        k = 0 if outputs is None else positive_integer("outputs", outputs)
        x = images_to_time(image_shape, max(n, others), k, chosen_device(device), dtype)
        budget = self.budget_on(x.device)
        if k:
            coef = x.new_ones(len(x), k)

            def agop(left: int, right: int) -> Tensor:
                return self.agop(x[:left], x[:right], coef[:right], feature_matrix=feature_matrix)

            law = measured_pairs(agop, n, others, alike=False, timed=len(x), patience=THOROUGHLY)
            return Forecast(law.seconds(n, others), budget)

        def matrix(left: int, right: int) -> Tensor:
            return self(x[:left], x[:right], feature_matrix=feature_matrix)

        law = measured_pairs(matrix, n, others, alike=True, timed=len(x), patience=THOROUGHLY)
        seconds = law.symmetric_seconds(n) if m is None else law.seconds(n, others)
        return Forecast(seconds, n * others * x.element_size() + budget)

    @property
    @abstractmethod
    def window(self) -> Window:
        """The window that cuts an image into patches."""

    @abstractmethod
    def check_image_size(self, height: int, width: int) -> None:
        """Raise `InputError` for images too small for the kernel."""

    @abstractmethod
    def matrix(
        self, x: Tensor, z: Tensor | None, factor: Float[Tensor, "r d"] | None, progress: Progress | None
    ) -> Float[Tensor, "n m"]:
        """The kernel matrix of checked images; z is None for x itself."""

    @abstractmethod
    def own(self, x: Tensor, factor: Float[Tensor, "r d"] | None) -> Float[Tensor, " n"]:
        """K(x, x) of checked images."""

    @abstractmethod
    def gradients(
        self,
        x: Tensor,
        z: Tensor,
        dual_coef: Tensor,
        factor: Float[Tensor, "r d"] | None,
        progress: Progress | None,
    ) -> PatchGradients:
        """The gradients of checked images; `progress` is called as the blocks are made."""

    def budget_on(self, device: torch.device) -> int:
        """How many bytes temporaries may take beyond the result."""
        return default_budget(device) if self.memory_budget is None else self.memory_budget

    def _check(
        self, x: Tensor, z: Tensor | None, feature_matrix: Tensor | None, dual_coef: Tensor | None = None
    ) -> Float[Tensor, "r d"] | None:
        """Refuse what does not fit together; the factor of the metric, None for the identity."""
        check_batch("x", x, like=x)
        if z is not None:
            check_batch("z", z, like=x)
        if dual_coef is not None and z is None:
            raise InputError("z, the training images, is needed: got None. Pass x again if they are the same.")
        self.check_image_size(*x.shape[-2:])
        if (
            z is not None
            and dual_coef is not None
            and (dual_coef.ndim != 2 or dual_coef.numel() == 0 or len(dual_coef) != len(z))
        ):
            raise InputError(
                f"dual_coef must be ({len(z)}, k), one row for each image of z; got {tuple(dual_coef.shape)}."
            )
        if dual_coef is not None and not dual_coef.isfinite().all():
            raise InputError("dual_coef must be finite; got NaN or infinity. Look at what it was solved from.")
        factor = None if feature_matrix is None else self.metric_factor(x, feature_matrix)
        trace = float(self.window.size**2 * x.shape[1] if factor is None else factor.detach().square().sum())
        for name, images in {"x": x, "z": z}.items():
            if images is not None:
                check_squares(name, images, trace)
        return factor

    def metric_factor(self, x: Tensor, feature_matrix: Tensor) -> Float[Tensor, "r d"]:
        """The factor of a metric on the patches of x; raises `InputError` for one that does not fit."""
        q = self.window.size
        d = x.shape[1] * q * q
        if feature_matrix.shape != (d, d):
            raise InputError(
                f"feature_matrix must be ({d}, {d}) for patches of {x.shape[1]} x {q} x {q}; got "
                f"{tuple(feature_matrix.shape)}."
            )
        return psd_factor(feature_matrix, "feature_matrix", self.rank_tolerance)


def mean_one(weights: Tensor, x: Tensor) -> Float[Tensor, " n"]:
    """The weights of images scaled to a mean of 1."""
    given = weights.detach()
    if given.shape != (len(x),) or not bool((given >= 0).all()) or not 0 < float(given.sum()) < float("inf"):
        raise InputError(f"weights must be ({len(x)},), finite, not negative and not all zero; got {weights}.")
    weights = weights.double() / weights.max()
    return (weights / weights.mean()).to(x)


def settle_numerics(kernel: PatchKernel) -> None:
    """Keep a kernel's numbers as Python's; raises `InputError` unless they are bytes or None, and a share of a trace."""
    tolerance = kernel.rank_tolerance
    if not is_finite(tolerance) or not 0 <= float(tolerance) < 1:
        raise InputError(f"rank_tolerance must be a share of the trace, from 0 to below 1; got {tolerance!r}.")
    object.__setattr__(kernel, "rank_tolerance", float(tolerance))
    if kernel.memory_budget is not None:
        budget = positive_integer("memory_budget in bytes", kernel.memory_budget)
        object.__setattr__(kernel, "memory_budget", budget)
