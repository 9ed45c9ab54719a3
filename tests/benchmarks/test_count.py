import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.cases import Case
from benchmarks.count import BLOCK, FEW
from benchmarks.counted_lanes import COUNTED, LANES, Lanes, polynomial, square_root
from benchmarks.inputs import inputs
from convrfm import kernels

ROOT = Path(__file__).parents[2]
SETTINGS = Case("", BLOCK, (1, 7, 6), 2, ()).settings("convrfm")


def counted(task: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.count", json.dumps({**SETTINGS, "task": task})]
    variables = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=variables).stdout)


@pytest.mark.parametrize("task", ["kernel", "metric", "agop"])
def test_the_counted_run_computes_what_the_compiled_engine_computes(task: str) -> None:
    given = inputs({**SETTINGS, "task": task})
    kernel = kernels.NTK(kernels.vanilla(2), engine="cpu")
    x, z, metric = given.x[:FEW], given.x, given.feature_matrix
    if task == "agop":
        found = kernel.agop(x, z, given.dual_coef, feature_matrix=metric)
    else:
        found = kernel(x, z, feature_matrix=metric)
    assert counted(task)["checksum"] == pytest.approx(float(found.double().square().sum()), rel=1e-4)


def test_every_lane_of_every_operation_counts_once() -> None:
    a = Lanes(np.arange(LANES, dtype=np.float32))
    COUNTED.clear()
    assert np.array_equal((1.0 - a * a + a).numbers, 1 - np.arange(LANES) ** 2 + np.arange(LANES))
    assert COUNTED["operations"] == 3 * LANES
    assert np.array_equal(square_root(polynomial((1.0, 2.0, 1.0), ())(a)).numbers, 1 + np.arange(LANES))
    assert COUNTED["operations"] == (3 + 4 + 1) * LANES
