"""Settings that --set gives are never below zero, wherever they stand in them."""

from typing import Any

import pytest

from convrfm.errors import InputError
from convrfm.experiments import pooled_features
from convrfm.experiments.catalogue import EXPERIMENTS
from convrfm.experiments.scale import Scale
from convrfm.experiments.settings import changed, plain_settings


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for each in value.values() for number in numbers(each)]
    if isinstance(value, list | tuple):
        return [number for each in value for number in numbers(each)]
    return [value] if isinstance(value, int | float) else []


def test_no_setting_of_ours_is_negative() -> None:
    """So that refusing them refuses nothing that is meant."""
    settings = [of for experiment in EXPERIMENTS.values() for of in experiment.settings.values()]
    assert min(number for each in settings for number in numbers(plain_settings(each))) >= 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"n_test": "-5"}, "--set n_test must not be negative; got -5"),
        (
            {"stages": '[{"methods": ["identity"], "sizes": [60, -1]}]'},
            "--set stages.sizes must not be negative; got -1",
        ),
    ],
)
def test_negative_settings_are_refused_by_name(change: dict[str, str], told: str) -> None:
    with pytest.raises(InputError, match=told):
        changed(pooled_features.EXPERIMENT.settings[Scale.SMOKE], change)
