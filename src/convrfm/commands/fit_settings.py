"""All that decides a run of `convrfm fit`."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .candidates import Candidates, Model
from .choices import (
    RADIAL_KERNELS,
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
    def belonging(self) -> dict[str, tuple[bool, str]]:
        """For some of them whether they have an effect beside the others, and what they belong to."""
        radial = any(name.is_radial for name in self.kernel)
        infinite = not all(name.is_radial for name in self.kernel)
        sized = not all(name.is_myrtle for name in self.network)
        by_features, learns = self.solver is SolverName.FEATURES, self.iterations > 0
        return {
            "network": (infinite, "--kernel ntk and nngp"),
            "depth": ((infinite and sized) or self.deep, "--kernel ntk and nngp (Myrtle has its own), and to --deep"),
            "patch_size": (radial or sized, "networks but Myrtle, and to radial kernels"),
            "pool_size": (infinite and Network.AVERAGE in self.network, "--network average"),
            "bandwidth": (radial, RADIAL_KERNELS),
            "n_features": (by_features, "--solver features"),
            "first_filters": (by_features, "--solver features"),
            "filters": (self.deep, "--deep"),
            "agop_samples": (learns, "updates of M (--iterations)"),
            "shrinkage": (learns, "updates of M (--iterations)"),
        }

    def acts(self, name: str) -> bool:
        """Whether one of them has an effect beside the others."""
        return self.belonging.get(name, (True, ""))[0]

    def command(self, out: Path, defaults: Mapping[str, Any], where: int | str | None = None) -> str:
        """The line that is typed for them: what is not as by default, and has an effect.

        Args:
            out: folder of the run.
            defaults: what options are where nobody changes them.
            where: who shares the work of conjugate gradients, which random features are not fitted by.
        """
        words = ["convrfm", "fit", self.data, "--out", str(out)]
        for name in (field.name for field in fields(self) if field.name != "data"):
            value, default = getattr(self, name), defaults[name]
            several = isinstance(default, list)
            if (list(value) if several else value) == default or not self.acts(name):
                continue
            option = name.replace("_", "-")
            if isinstance(default, bool):
                words.append(f"--{option}" if value else f"--no-{option}")
                continue
            for each in value if several else [value]:
                words += [f"--{option}", str(each)]
        if where is not None and self.solver is not SolverName.FEATURES:
            words += ["--scheduler" if isinstance(where, str) else "--workers", str(where)]
        return shlex.join(words)

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
