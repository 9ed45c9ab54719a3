"""ConvRFM (Algorithm 1 of the paper) as scikit-learn estimators on images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from typing_extensions import override

from ..kernels import NTK, vanilla
from .classification import Classifier
from .given.arrays import Array
from .kept.fitted_layers import Stage
from .learning.plan import Candidates
from .learning.starts import NOTHING_DRAWN, FilterDraw
from .machine import RecursiveFeatureMachine
from .regression import Regressor
from .settings import check_kernel, several
from .solving.solver import LearnableKernel

DEFAULT_KERNEL = NTK(vanilla(depth=3))


@dataclass(eq=False, repr=False)
class ConvRFM(RecursiveFeatureMachine):
    """One layer of rounds."""

    kernel: LearnableKernel | Sequence[LearnableKernel] = DEFAULT_KERNEL

    _deep: ClassVar[bool] = False

    @property
    @override
    def stages_(self) -> list[Stage]:
        """Every round."""
        return [Stage(0, round_) for round_ in self.layers_[0].rounds]

    @property
    def kernel_(self) -> LearnableKernel:
        """The kernel that was kept."""
        return self.layers_[0].kernel

    @property
    def best_iteration_(self) -> int:
        """The kept round."""
        return self.layers_[0].kept.iteration

    @property
    def feature_matrix_(self) -> Array:
        """M, `(d, d)`; `initial_metric` at round 0."""
        return self._as_given(self.layers_[0].kept.feature_matrix)

    @override
    def _candidates(self, shape: Sequence[int]) -> Candidates:
        kernels = several("kernel", self.kernel)
        for kernel in kernels:
            check_kernel(kernel)
            kernel.check_image_size(*shape[-2:])
        return [(kernel,) for kernel in kernels]

    @override
    def _draw(self, seed: int) -> FilterDraw:
        return NOTHING_DRAWN

    @staticmethod
    @override
    def _parameters_of(kernels: Sequence[LearnableKernel]) -> dict[str, Any]:
        return {"kernel": kernels[0]}


@dataclass(eq=False, repr=False)
class ConvRFMClassifier(Classifier, ConvRFM):
    """Kernel ridge regression of one-hot labels with a convolutional kernel whose patch metric M is learned.

    Round 0 is the fixed kernel. Every update replaces M by the average gradient outer product, over patches, of the
    fitted predictor (Algorithm 1 of the paper), and fits again. Ridge and round are chosen by closed-form
    leave-one-out on the training images, never on test data.

    Args:
        kernel: a kernel of `convrfm.kernels`, or several (other depths, patch sizes, bandwidths): the best is kept.
        n_iterations: updates of M; `history_` has one record more.
        solver: "exact" decomposes the kernel matrix; "cg" solves by conjugate gradients on tiles of it, in memory or on disk,
            and estimates leave-one-out with random signs (docs/large.md); "auto" takes the first where it fits into
            `memory_budget`, otherwise the second, and says so (with groups always the first, with `workers` the second);
            "features" is the regression on random features of the kernel (NNGP, NTK), the same draw under every M, in time and
            memory linear in the images (docs/estimators.md).
        n_features: random filters of every convolution of the network that is drawn for "features".
        first_filters: those of its first convolution: "gaussian", N(0, M); or "patches": M^(1/2) times whitened patches of
            training images, each of one length, which photographs are better told apart by. Folds take patches of their own.
        memory_budget: bytes that a fit may take beside its images, also those between layers and in folds: by "exact" or
            "cg" with a kernel's temporaries, by "features" for what is decomposed and for features that are remembered;
            None for nine tenths of what is free, and the temporaries' own 512 MiB: fits side by side, of a search with
            `n_jobs`, need a budget each.
        tile_folder: where "cg" keeps tiles that do not fit, and both "cg" and "features" what an interrupted fit goes on from;
            None for a temporary folder, and for "features" for none. Fits at the same time, of a search with `n_jobs` for one,
            need folders of their own.
        workers: None, or who shares the work of "cg": a number of processes of this machine, or the address of a Dask
            scheduler whose workers reach `tile_folder` (docs/cluster.md). Results keep their bits.
        patch_normalization: None, or "contrast": patches less their mean and over their deviation (the root of their variance
            plus a hundredth of the training patches' weighted mean variance), in kernels.NNGP and NTK. Metric and features are
            those of such patches, and `kernel_` keeps the variance. Folds of `cv` share it: it is the one number that has seen
            the images (never the labels) that a fold holds out.
        initial_metric: M at round 0: "identity"; "whitening", the inverse covariance of the training patches after a tenth of
            its mean eigenvalue is added to each; or `(d, d)`. It is scaled as all others. Folds whiten their own images.
        augment: copies of the training images that are fitted beside them: "flip" mirrors left and right, "shift" moves by a
            pixel up, down, left and right (the edge is repeated); ("flip", "shift") makes ten images of each. An image is left
            out, and held out by `cv`, with all its copies, each of which has its weight; scores on training images count the
            copies too. New images are predicted as they are. With solver="features" in one layer no images are added: each
            image's features, new ones' too, are the average over it and its copies, which have one prediction.
        ridge: a number, several (the best is taken), or "loo" for a grid from 1e-8 to 1, times the power of a thousand that is
            nearest to the mean of the weights: the fit is the same for weights times any such power. K is divided by its
            largest entry first (with random features by the largest phi . phi of an image), so that a ridge means the same in
            every round: in units of that entry.
        agop_samples: training images at which gradients are taken: None for all, a number (drawn with `random_state`), or a
            slice or index array of those whose weight is not 0; their copies come along.
        keep: the round that is kept: "best", or "last".
        choose_on: kernel, ridge and round are chosen by "loo", or on the "selection" set given to `fit`.
        cv: None, or a number of folds or a scikit-learn splitter: kernel, ridge and round are chosen by cross-validation in
            place of leave-one-out. Every fold learns its own M without the images that it holds out: no metric has seen
            what it is judged by. Ridge and round are the best of a few on those images, a small optimism that an outer
            `cross_val_score` is free of. It costs as many more fits, and copies of the images, as there are folds. A number
            of folds keeps the classes' shares, and the groups given to `fit` together.
        feature_power: patches are multiplied by AGOP^feature_power: 0.5 makes the metric the AGOP, 1 its square.
        feature_trace: trace to which the metric is scaled; None for d, which keeps the scale of the fixed kernel.
        shrinkage: after an update M is (1 - shrinkage) times what was learned plus shrinkage times the M before it: from 0 to
            below 1. Of several, (0.0, 0.5, 0.9) for instance, the folds of `cv` (or the selection set) choose in every round;
            leave-one-out cannot, since every M has seen every label.
        agop_ridge: which ridge's coefficients feed the AGOP: the "chosen" one's, or the "last" candidate's.
        image_shape: `(c, h, w)` of flattened images; one of the three may be -1, for whatever is left.
        class_weight: None, "balanced" (every class counts alike), or a weight for each class, of training images: accuracies
            by leave-one-out and `cv` are weighted too; images of a selection set count alike.
        device: "auto" (a GPU where there is one), or a torch device.
        random_state: seed of all draws: of `agop_samples`, of random features, and of what "cg" draws.
        warm_start: `fit` goes on from the rounds of the fit before, which must have been to the same images, labels and
            weights with the same kernel; other parameters count for the new rounds. `solver="auto"` and `random_state=None`
            are then what they were in that fit, whatever memory is free now.
        verbose: show progress and an estimate of time and memory.

    Attributes:
        feature_matrix_: M, `(d, d)`; the initial metric at round 0.
        coef_: with random features, their coefficients `(columns, k)`.
        dual_coef_: `(n, k)`; `kernel_(x, x_fit_, feature_matrix=feature_matrix_) @ dual_coef_` is the output.
        kernel_: the kernel that was kept.
        ridge_: the ridge of the kept round.
        best_iteration_: the kept round.
        temperature_: what outputs are divided by before the softmax of `predict_proba`.
        classes_: the labels, sorted. New classes need a new fit.
        layers_: the one layer, with every finished round; `stages_`: those rounds, in the order of `staged_outputs`.
        fitted_: all that the fit left, as tensors on its device.
        feature_names_in_: the names of the columns, where `fit` was to a data frame with strings for names; further data
            frames must have the same ones in the same order.
        x_fit_: the training images `(n, c, h, w)`, a copy, without those of weight 0; copies that are fitted come after them.
        preprocessing_: how raw pictures became images, where the model was loaded with it.
        history_: one record for each round: iteration, ridge, accuracy and mean squared error by leave-one-out (by
            leave-one-group-out where `fit` was given groups), on the training images, and by cross-validation or on the
            selection set where those choose (`judge` says which); what the judge says of each ridge (`path`);
            temperature and seconds. Accuracies and errors are weighted as the images are. Where there were several kernels, the
            records of all, each with the number of its candidate, from 1, and the kernel. Leave-one-out is exact given M
            (with "cg" it is estimated, and has no accuracy); after round 0 it is optimistic, because M has seen every label.

    Example:
        >>> import numpy as np
        >>> from convrfm import datasets, kernels
        >>> x, y = datasets.star(20, generator=np.random.default_rng(0))
        >>> model = ConvRFMClassifier(kernels.NTK(kernels.vanilla(1, patch_size=5)), n_iterations=1).fit(x, y)
        >>> len(model.history_)
        2
    """


@dataclass(eq=False, repr=False)
class ConvRFMRegressor(Regressor, ConvRFM):
    """Kernel ridge regression with a convolutional kernel whose patch metric M is learned.

    As `ConvRFMClassifier`, for targets `(n,)` or `(n, k)`; kernel, ridge and round are chosen by the squared error, summed
    over targets as they are: bring several to one scale. The regression is of the targets less their mean, `intercept_`
    `(k,)`: `kernel_(x, x_fit_, feature_matrix=feature_matrix_) @ dual_coef_ + intercept_` is the prediction.
    `predict(x, return_std=True)` says how sure it is.
    """
