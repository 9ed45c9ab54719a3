"""Workers compute the kernel matrix that one process computes; what dies with one of them, another does again."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from typing_extensions import override

from convrfm import kernels
from convrfm.errors import InputError, MissingDependencyError
from convrfm.kernels.kernel_tiles import KernelTiles
from convrfm.storage.locations import Folder
from convrfm.storage.shared_arrays import SharedArrays
from convrfm.storage.shared_tiles import INGREDIENTS, PRODUCT, TileWork
from convrfm.storage.stored_kernel import kept_kernel
from convrfm.workers import DaskWorkers, Workers, check_workers, workers

pytest.importorskip("zarr")
pytest.importorskip("distributed")
KERNEL = kernels.Laplace(patch_size=2, bandwidth=3.0)


@dataclass(frozen=True)
class Deadly(kernels.Laplace):
    """Kills the first process that computes with it."""

    marker: str = ""

    @override
    def __call__(self, x: Any, z: Any = None, *, feature_matrix: Any = None, progress: Any = None) -> Any:
        try:
            Path(self.marker).touch(exist_ok=False)
        except FileExistsError:
            return super().__call__(x, z, feature_matrix=feature_matrix, progress=progress)
        return os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def two() -> Iterator[Workers]:
    with workers(2) as found:
        assert found is not None
        yield found


def images(n: int, seed: int) -> Tensor:
    return torch.randn(n, 1, 4, 4, generator=torch.Generator().manual_seed(seed))


def recipe(n: int = 14, m: int | None = None, kernel: Any = KERNEL) -> KernelTiles:
    metric = torch.diag(torch.tensor([1.0, 2.0, 0.5, 0.0]))
    return KernelTiles(kernel, images(n, 1), None if m is None else images(m, 2), metric, side=4)


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"tcp://127.0.0.1:{port}"


def chunks(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and "c" in path.relative_to(folder).parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def written(folder: Path, of: KernelTiles, by: Workers | None = None, precision: Any = "float32") -> dict[str, bytes]:
    with kept_kernel(folder, of, precision, workers=by) as kept:
        kept.complete()
    return chunks(folder)


@pytest.mark.parametrize("precision", ["float32", "int16"])
@pytest.mark.parametrize("of", [recipe(), recipe(14, 7), replace(recipe(), feature_matrix=None)])
def test_two_workers_write_the_bits_that_one_process_writes(
    of: KernelTiles, precision: str, two: Workers, tmp_path: Path
) -> None:
    assert written(tmp_path / "shared", of, two, precision) == written(tmp_path / "alone", of, None, precision)
    assert not (tmp_path / "shared" / INGREDIENTS).exists()


def test_a_worker_killed_with_a_tile_at_hand_costs_that_tile_and_nothing_else(two: Workers, tmp_path: Path) -> None:
    deadly = Deadly(patch_size=2, bandwidth=3.0, marker=str(tmp_path / "killed"))
    bits = written(tmp_path / "shared", recipe(kernel=deadly), two)
    assert (tmp_path / "killed").exists()
    assert bits == written(tmp_path / "alone", recipe())


def test_products_of_workers_have_the_bits_of_one_process_and_a_damaged_tile_is_computed_again(
    two: Workers, tmp_path: Path
) -> None:
    vectors = torch.randn(14, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    expected = recipe().product(vectors)
    with kept_kernel(tmp_path / "K.zarr", recipe(), workers=two) as kept:
        kept.complete()
        assert torch.equal(kept.product(vectors), expected)
        (tmp_path / "K.zarr" / "kernel" / "c" / "1" / "2").write_bytes(b"short")
        with pytest.warns(UserWarning, match="damaged and is computed again"):
            assert torch.equal(kept.product(vectors), expected)
        assert not (tmp_path / "K.zarr" / PRODUCT).exists()


def test_progress_counts_what_was_there_before(two: Workers, tmp_path: Path) -> None:
    told = []
    with kept_kernel(tmp_path / "K.zarr", recipe(), workers=two) as kept:
        kept.tile((0, 0))
        kept.complete(lambda done, total: told.append((done, total)))
        kept.complete(lambda done, total: told.append((done, total)))
    assert told == [(done, 10) for done in range(2, 11)]


def test_what_work_raises_is_raised_here(two: Workers, tmp_path: Path) -> None:
    of = replace(recipe(), feature_matrix=torch.eye(3))
    with pytest.raises(InputError, match="feature_matrix"):
        written(tmp_path / "K.zarr", of, two)
    assert not (tmp_path / "K.zarr" / INGREDIENTS).exists()


def test_a_worker_that_finds_another_matrix_or_version_computes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kept_kernel(tmp_path / "K.zarr", recipe()) as kept:
        at = Folder(tmp_path / "K.zarr")
        work = TileWork(at, "another", KERNEL, "cpu", SharedArrays(at.within(INGREDIENTS)))
        with pytest.raises(InputError, match="finds another matrix"):
            work((0, 0))
        monkeypatch.setattr("convrfm.storage.shared_tiles.version", lambda name: "99")
        with pytest.raises(InputError, match="Install the same everywhere"):
            work((0, 0))
        assert (0, 0) not in kept.store


def test_workers_of_a_scheduler_elsewhere_stay_when_it_is_left(two: Workers, tmp_path: Path) -> None:
    assert isinstance(two, DaskWorkers)
    with workers(two._client.scheduler.address) as found:
        assert written(tmp_path / "K.zarr", recipe(), found) == written(tmp_path / "alone", recipe())
    assert dict(two.results(abs, [-1, 2])) == {-1: 1, 2: 2}


def test_what_is_no_number_of_workers_and_no_scheduler_is_refused(as_a_user: None) -> None:
    check_workers(np.int64(2))
    for wrong in (0, True, 1.5, np.int64(0)):
        with pytest.raises(InputError, match="must be a number of processes"), workers(wrong):
            pass
    with pytest.raises(InputError, match=r"must be at most \d+: each is a process .*; got 100000\."), workers(100_000):
        pass
    for nobody in ("nonsense://", closed_port()):
        with pytest.raises(InputError, match="no Dask scheduler answers"), workers(nobody):
            pass


def test_where_nothing_listens_nobody_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask would try again and again until time is up."""
    monkeypatch.delattr("distributed.Client")
    refused = r"no Dask scheduler answers at tcp://127\.0\.0\.1.*refused.*Begin one, dask scheduler"
    with pytest.raises(InputError, match=refused), workers(closed_port()):
        pass


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "convrfm\[cluster\]"'), workers(2):
        pass
    with workers(None) as nobody:
        assert nobody is None


def test_a_script_whose_processes_would_run_it_again_is_told_what_helps(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    lines = [
        "from convrfm.errors import InputError",
        "from convrfm.workers import workers",
        "try:",
        "    with workers(1): pass",
    ]
    script.write_text("\n".join([*lines, "except InputError as error: print(error)"]))
    told = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert told.returncode == 0, told.stderr
    assert 'put what it does under if __name__ == "__main__"' in told.stdout
