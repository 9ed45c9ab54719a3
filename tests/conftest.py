"""Fixtures for all tests, and what is needed before the first import of an optional library."""

import importlib.util
import os
import pickle
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import config

from tests.type_checks import check_arrays_of

collect_ignore = ["golden/make.py"]  # a script, for an environment with jax
OPERATOR_STUBS = []
SET_BY_LIBRARIES = {
    "PYTEST_CURRENT_TEST",
    "TORCHINDUCTOR_CACHE_DIR",
}  # the latter by the first import of torch's compiler
if importlib.util.find_spec("torchvision") and not torch.cuda.is_available():
    # torchvision's wheel on the package index is built for CUDA: beside a CPU-only torch its compiled operators do not
    # load, and the import fails on these two. No model that is tested here calls them.
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    OPERATOR_STUBS.append(library)

spec = importlib.util.find_spec("convrfm")
assert spec is not None
assert spec.origin is not None
check_arrays_of(Path(spec.origin).parent)

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when the programs of the cuda engine are defined


@pytest.fixture
def as_a_user() -> Iterator[None]:
    """Without the tests' runtime type checks: wrong input reaches the library as it does for its users."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")
def pages_without_pictures() -> Iterator[None]:
    """For tests of whole commands whose pictures and proposals do not matter: they take most of a small run."""
    from convrfm.commands import next_steps
    from convrfm.report import page
    from convrfm.report.blocks import Drawing

    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(page, "drawing", lambda figure, *told: Drawing(pixel, 1, 1, *told))
        patched.setattr(next_steps, "LOOKS", 0.0)
        yield


@pytest.fixture
def real_data() -> Path:
    """The folder of real images and trained weights that CONVRFM_DATA names."""
    if "CONVRFM_DATA" not in os.environ:
        pytest.skip("CONVRFM_DATA names no folder of real data")
    return Path(os.environ["CONVRFM_DATA"])


@pytest.fixture(scope="session")
def everything_is_imported() -> None:
    """Public names are imported on first use, and libraries set variables of the environment when they are imported."""
    import convrfm

    for name in convrfm.__all__:
        getattr(convrfm, name)


@pytest.fixture(autouse=True)
def nothing_global_is_left_behind(everything_is_imported: None, streams_of_libraries: None) -> Iterator[None]:
    """What a test changes for the whole process would decide the outcome of others, by their order."""
    before = _global_state()
    yield
    assert _global_state() == before, "the test left global state changed"


@pytest.fixture
def streams_of_libraries() -> Iterator[None]:
    """Libraries draw from streams of the whole process: every test begins with the same numbers, and the stream is put back.

    Networks draw their weights from torch's, because layers take no generator; runtime type checks and Dask draw from Python's.
    """
    of_torch, of_python = torch.get_rng_state(), random.getstate()
    torch.default_generator.manual_seed(0)
    random.seed(0)
    yield
    torch.set_rng_state(of_torch)
    random.setstate(of_python)


@pytest.fixture
def stream_of_numpy() -> Iterator[None]:
    """For tests of libraries that draw from NumPy's stream of the whole process: it begins anew, and is put back."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    yield
    np.random.set_state(before)  # noqa: NPY002


@pytest.fixture
def threads_of_torch() -> Iterator[None]:
    """For tests that set the number of torch's threads: it is put back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def _global_state() -> dict[str, object]:
    return {
        "stream of NumPy": pickle.dumps(np.random.get_state()),  # noqa: NPY002
        "threads of torch": torch.get_num_threads(),
        "default dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "working folder": Path.cwd(),
        "environment": {name: value for name, value in os.environ.items() if name not in SET_BY_LIBRARIES},
    }
