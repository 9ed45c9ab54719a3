"""What the presets set, in words and from the presets themselves."""

from ..estimators import DeepConvRFMClassifier
from ..estimators.presets import DEEP, PRESETS

HEADER = ("", "parameter", *PRESETS, "defaults")
MEANINGS = {
    "n_iterations": "updates of M",
    "agop_samples": "AGOP over",
    "feature_power": "patches are multiplied by M to the power",
    "feature_trace": "trace of the metric",
    "ridge": "ridge",
    "agop_ridge": "coefficients that feed the AGOP",
    "keep": "round kept",
    "choose_on": "ridge and round chosen on",
    "activation": "deep: after the random filters",
    "centering": "deep: subtracted from each channel of features",
}
OF_DEEP_ONLY = ("activation", "centering")
WORDS = {
    "agop_samples": {"None": "all training images", "slice(0, 20, None)": "the first 20"},
    "feature_trace": {"None": "d, that of the fixed kernel"},
    "ridge": {"loo": "best of 17, 1e-8 to 1", "(1e-08, 1e-05, 0.001)": "best of 1e-8, 1e-5, 1e-3"},
    "agop_ridge": {"chosen": "of the chosen ridge", "last": "of the last candidate"},
    "choose_on": {"loo": "leave-one-out", "selection": "a selection set"},
    "activation": {"relu": "ReLU", "None": "nothing"},
    "centering": {"loo": "its mean, in the best of three ways", "None": "nothing"},
}


def differences() -> list[list[str]]:
    """A line for every parameter in which they differ."""
    return [
        [meaning, parameter, *(_setting(parameter, name) for name in (*PRESETS, "defaults"))]
        for parameter, meaning in MEANINGS.items()
    ]


def _setting(parameter: str, name: str) -> str:
    preset = PRESETS.get(name, {}) | DEEP.get(name, {})
    if parameter in OF_DEEP_ONLY and name in PRESETS and name not in DEEP:
        return "(not deep)"
    if parameter == "choose_on" and preset.get("keep") == "last":
        return "nothing is chosen"
    value = str(preset.get(parameter, getattr(DeepConvRFMClassifier(), parameter)))
    return WORDS.get(parameter, {}).get(value, value)
