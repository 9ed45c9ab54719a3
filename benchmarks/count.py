"""How much arithmetic and traffic the fused engine's source asks for: `python -m benchmarks.count SETTINGS`.

It runs a case at a few images on lanes that count, and says what one pair of images takes.
"""

import json
import sys
from typing import Any

from benchmarks import counted_lanes

FEW, BLOCK = 4, 32  # images on the left and on the right that the engine takes at once


def count(settings: dict[str, Any]) -> dict[str, float]:
    """Operations and bytes for one pair of images; the engine must not have been imported before."""
    assert "convrfm" not in sys.modules
    sys.modules["convrfm.kernels.lanes.vectors"] = counted_lanes
    import torch

    from benchmarks.inputs import inputs
    from convrfm import kernels

    torch.set_num_threads(1)  # one tally
    given = inputs({**settings, "n": BLOCK, "with_itself": True})
    kernel = kernels.NTK(kernels.vanilla(settings["depth"]), engine="cpu")
    left = given.x[:FEW]
    if settings["task"] == "agop":
        found = kernel.agop(left, given.x, given.dual_coef, feature_matrix=given.feature_matrix)
    else:
        found = kernel(left, given.x, feature_matrix=given.feature_matrix)
    pairs = FEW * BLOCK
    return {
        **{name: total / pairs for name, total in counted_lanes.COUNTED.items()},
        "checksum": float(found.double().square().sum()),
    }


if __name__ == "__main__":
    print(json.dumps(count(json.loads(sys.argv[1]))))
