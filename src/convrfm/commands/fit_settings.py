"""All that decides a run of `convrfm fit`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .candidates import Candidates, Model
from .choices import (
    AugmentationName,
    FirstFiltersName,
    InitialMetricName,
    KernelName,
    Network,
    PatchNormalizationName,
    SolverName,
    Unreadable,
    Validation,
)


@dataclass(frozen=True)
class FitSettings:
    """All that decides a run of `convrfm fit`, named as its options are."""

    data: str
    kernel: Sequence[KernelName]
    network: Sequence[Network]
    depth: Sequence[int]
    patch_size: Sequence[int]
    pool_size: int
    bandwidth: float
    iterations: int
    shrinkage: Sequence[float]
    ridge: float | None
    solver: SolverName
    n_features: int
    first_filters: FirstFiltersName
    memory_budget: int | None
    patch_normalization: PatchNormalizationName
    initial_metric: InitialMetricName
    augment: Sequence[AugmentationName]
    deep: bool
    filters: int
    cv: int | None
    agop_samples: int | None
    n_train: int | None
    n_test: int | None
    image_size: int | None
    center: bool
    sigma: float | None
    labels: Path | None
    validation: Validation
    unreadable: Unreadable
    baselines: bool
    download: bool
    seed: int
    device: str

    @property
    def candidates(self) -> Candidates:
        """What is compared."""
        return Candidates.of(
            self.kernel,
            self.network,
            self.patch_size,
            self.depth,
            pool_size=self.pool_size,
            bandwidth=self.bandwidth,
            deep=self.deep,
            filters=self.filters,
        )

    @property
    def n_rounds(self) -> int:
        """How many a fit has that is not interrupted."""
        layers = (
            sum(self.candidates.depths) * len(self.candidates.families) if self.deep else len(self.candidates.names)
        )
        return layers * (self.iterations + 1)

    def unfitted(self, *, verbose: bool) -> Model:
        """The model that is to be fitted."""
        return self.candidates.unfitted().set_params(
            n_iterations=self.iterations,
            shrinkage=tuple(self.shrinkage),
            ridge="loo" if self.ridge is None else self.ridge,
            solver=self.solver.value,
            n_features=self.n_features,
            first_filters=self.first_filters.value,
            memory_budget=self.memory_budget,
            patch_normalization=None if self.patch_normalization is PatchNormalizationName.NONE else "contrast",
            initial_metric=self.initial_metric.value,
            augment=tuple(name.value for name in self.augment),
            agop_samples=self.agop_samples,
            cv=self.cv,
            device=self.device,
            random_state=self.seed,
            verbose=verbose,
        )
