"""Peers compute what we compute; where `python -m benchmarks` has made their environments."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from benchmarks.environments import PEERS, ROOT, python_of, variables
from convrfm import kernels

CNN_GP = """
import sys, numpy as np, torch
from benchmarks.work_cnn_gp import kernel
x, z = (torch.from_numpy(np.load(f"{sys.argv[1]}/{name}.npy")) for name in "xz")
np.save(f"{sys.argv[1]}/K.npy", kernel(x, None if sys.argv[2] == "x" else z, 2).numpy())
"""
NEURAL_TANGENTS = """
import sys, numpy as np
from benchmarks.work_neural_tangents import Q, as_channels, network, unfolded
x, z, root = (np.load(f"{sys.argv[1]}/{name}.npy") for name in ("x", "z", "root"))
fn, arranged = (network(2, (Q, Q)), unfolded) if sys.argv[2] == "nt-paper" else (network(2, (1, 1)), as_channels)
np.save(f"{sys.argv[1]}/K.npy", np.asarray(fn(arranged(x, root), arranged(z, root), "ntk")))
"""


def images(n: int, seed: int) -> Tensor:
    return torch.randn(n, 2, 8, 8, generator=torch.Generator().manual_seed(seed))


def computed_by(contestant: str, program: str, folder: Path, argument: str, **arrays: Tensor) -> Tensor:
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array.numpy())
    command = [python_of(contestant), "-c", program, str(folder), argument]
    subprocess.run(command, check=True, cwd=ROOT, env=variables(contestant))
    return torch.from_numpy(np.load(folder / "K.npy"))


@pytest.mark.skipif(not (PEERS / "cnn-gp").exists(), reason="cnn-gp is not installed under .bench")
@pytest.mark.parametrize("right", ["x", "z"])
def test_cnn_gp_has_our_nngp(tmp_path: Path, right: str) -> None:
    x, z = images(23, 0), images(5, 1)
    expected = kernels.NNGP(kernels.vanilla(2))(x, None if right == "x" else z)
    assert_close(computed_by("cnn-gp", CNN_GP, tmp_path, right, x=x, z=z), expected, rtol=1e-5, atol=0)


@pytest.mark.skipif(not (PEERS / "nt" / "ok").exists(), reason="Neural Tangents is not installed under .bench")
@pytest.mark.parametrize("contestant", ["nt-paper", "nt-best"])
def test_neural_tangents_has_our_ntk_with_a_metric(tmp_path: Path, contestant: str) -> None:
    x, z = images(4, 0), images(3, 1)
    root = torch.randn(18, 18, generator=torch.Generator().manual_seed(2))
    root = (root + root.T) / 6
    expected = kernels.NTK(kernels.vanilla(2))(x, z, feature_matrix=root @ root)
    found = computed_by(contestant, NEURAL_TANGENTS, tmp_path, contestant, x=x, z=z, root=root)
    assert_close(found, expected, rtol=1e-4, atol=0)
