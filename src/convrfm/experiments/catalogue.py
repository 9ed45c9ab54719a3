"""Every experiment by its name: the one line that a new one needs."""

from collections.abc import Mapping
from typing import Any

from . import (
    bars,
    cnfa_table,
    deep_noisy_mnist,
    fig1,
    fig2,
    fig3,
    fig4,
    fig5,
    fig6,
    fig7,
    fig8,
    fig9,
    fig10,
    fig11,
    fig12,
    noisy_mnist,
    pooled_features,
    presets,
    random_features,
    small_data,
    star,
    theorem1,
)
from .experiment import Experiment

ALL: tuple[Experiment[Any], ...] = (
    bars.EXPERIMENT,
    cnfa_table.EXPERIMENT,
    deep_noisy_mnist.EXPERIMENT,
    fig1.EXPERIMENT,
    fig2.EXPERIMENT,
    fig3.EXPERIMENT,
    fig4.EXPERIMENT,
    fig5.EXPERIMENT,
    fig6.EXPERIMENT,
    fig7.EXPERIMENT,
    fig8.EXPERIMENT,
    fig9.EXPERIMENT,
    fig10.EXPERIMENT,
    fig11.EXPERIMENT,
    fig12.EXPERIMENT,
    noisy_mnist.EXPERIMENT,
    pooled_features.EXPERIMENT,
    presets.EXPERIMENT,
    random_features.EXPERIMENT,
    small_data.EXPERIMENT,
    star.EXPERIMENT,
    theorem1.EXPERIMENT,
)
EXPERIMENTS: Mapping[str, Experiment[Any]] = {experiment.name: experiment for experiment in ALL}
