"""The settings of the paper and of its two published codes, where they differ (all ours are defaults).

| | `paper` | `code-2023` | `science-2024` |
|---|---|---|---|
| AGOP over | all training images | the first 20 | the first 20 |
| patches are multiplied by | M^(1/2) | M | M^(1/2) |
| divided by its Frobenius norm, so that the metric has trace | 1 | 1 | 1 |
| ridge | best of 1e-8, 1e-5, 1e-3 | the same; the AGOP uses the last one's coefficients | fixed |
| round kept | best | best | last |
| chosen on | a selection set | a selection set (there: test data) | nothing |
| deep: features, not centered | ReLU(W * x) | W * x | (not deep) |
"""

from typing import Any

from ..errors import InputError

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {
        "n_iterations": 5,
        "ridge": (1e-8, 1e-5, 1e-3),
        "feature_trace": 1.0,
        "keep": "best",
        "choose_on": "selection",
    },
    "code-2023": {
        "n_iterations": 5,
        "ridge": (1e-8, 1e-5, 1e-3),
        "agop_samples": slice(0, 20),
        "agop_ridge": "last",
        "feature_power": 1.0,
        "feature_trace": 1.0,
        "keep": "best",
        "choose_on": "selection",
    },
    "science-2024": {
        "n_iterations": 3,
        "ridge": 1e-3,
        "agop_samples": slice(0, 20),
        "feature_trace": 1.0,
        "keep": "last",
    },
}


DEEP: dict[str, dict[str, Any]] = {
    "paper": {"depth": 3, "n_filters": 64, "activation": "relu", "centering": None},
    "code-2023": {"depth": 3, "n_filters": 64, "activation": None, "centering": None},
}
"""What the deep model takes besides."""


def preset(name: str, *, deep: bool) -> dict[str, Any]:
    """The parameters that a preset sets."""
    known = sorted(DEEP if deep else PRESETS)
    if name not in known:
        raise InputError(f"preset must be one of {known}{' for a deep model' * deep}; got {name!r}.")
    return PRESETS[name] | (DEEP[name] if deep else {})
