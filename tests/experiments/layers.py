"""A layer's line with the numbers that a test is about."""

from convrfm.experiments.layer_lines import LayerLine

OTHERS = {
    "layer": "0",
    "d": 9,
    "rows": 4,
    "groups": 1,
    "cosine": 0.5,
    "interval": [0.4, 0.6],
    "pearson": 0.5,
    "rotated": 0.4,
    "rotated_deviation": 0.1,
    "excess": 1.0,
    "pearson_half": 0.6,
    "rotated_half": 0.5,
    "rotated_half_deviation": 0.1,
    "fresh": 0.3,
    "fresh_cnfm": 0.2,
    "rank_share": 0.5,
}


def layer_with(**values: float) -> LayerLine:
    """These numbers, and some for the others."""
    return LayerLine(**(OTHERS | values))
