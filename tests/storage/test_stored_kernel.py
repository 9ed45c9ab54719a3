"""A kernel matrix on disk is the one in memory; killed, damaged, stale, held or out of room, it is never a wrong one."""

import json
import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from convrfm import kernels
from convrfm.errors import DamagedTileError, InputError, MissingDependencyError
from convrfm.kernels.kernel_tiles import KernelTiles, TileLayout, default_side
from convrfm.storage import stored_kernel
from convrfm.storage.stored_kernel import kept_kernel
from convrfm.storage.tile_store import LARGEST, Precision, TileStore

pytest.importorskip("zarr")
KERNEL = kernels.Laplace(patch_size=2, bandwidth=3.0)
METRIC = torch.diag(torch.tensor([1.0, 2.0, 0.5, 0.0]))


def images(n: int, seed: int) -> Tensor:
    return torch.randn(n, 1, 4, 4, generator=torch.Generator().manual_seed(seed))


def recipe(n: int = 10, m: int | None = None) -> KernelTiles:
    return KernelTiles(KERNEL, images(n, 1), None if m is None else images(m, 2), METRIC, side=4)


def chunks(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "kernel" / "c").rglob("*") if path.is_file())


def bits(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in chunks(folder)]


def written(folder: Path, of: KernelTiles | None = None, precision: Precision = "float32") -> TileStore:
    with kept_kernel(folder, recipe() if of is None else of, precision) as kept:
        kept.complete()
    return kept.store


@pytest.mark.parametrize("m", [None, 7])
def test_in_float32_it_is_the_matrix_in_memory(m: int | None, tmp_path: Path) -> None:
    of = recipe(10, m)
    store = written(tmp_path / "K.zarr", of)
    whole = KERNEL(of.x, of.z, feature_matrix=METRIC)
    torch.testing.assert_close(store.rows(slice(None)), whole, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(store.rows(slice(3, 9)), whole[3:9], rtol=1e-6, atol=1e-7)
    assert len(chunks(tmp_path / "K.zarr")) == (6 if m is None else 3 * 2)


def test_in_float64_it_has_the_bits_of_the_tiles_that_are_computed(tmp_path: Path) -> None:
    of = replace(recipe(), x=images(10, 1).double())
    store = written(tmp_path / "K.zarr", of, "float64")
    assert all(torch.equal(store.tile(place), of.tile(place)) for place in of.layout.places)
    torch.testing.assert_close(store.rows(slice(2, 7)), KERNEL(of.x, feature_matrix=METRIC)[2:7], rtol=1e-13, atol=0)


def test_in_16_bits_every_entry_is_right_to_a_65534th_of_its_tiles_largest(tmp_path: Path) -> None:
    of = recipe(10, 7)
    scaled = KernelTiles(lambda x, z, feature_matrix: 1e3 * KERNEL(x, z), of.x, of.z, None, 4)
    layout = of.layout
    store = TileStore.begin(tmp_path, layout, "int16", {})
    for place in layout.places:
        store.write(place, scaled.tile(place))
        off = (store.tile(place) - scaled.tile(place)).abs().max()
        assert 0 < off <= scaled.tile(place).max() / (2 * LARGEST) * (1 + 1e-3)
    store.write((0, 0), torch.zeros(4, 4))
    assert torch.equal(store.tile((0, 0)), torch.zeros(4, 4))


def test_any_program_that_reads_zarr_reads_it(tmp_path: Path) -> None:
    import zarr

    store = written(tmp_path / "K.zarr")
    array = torch.from_numpy(zarr.open_group(tmp_path / "K.zarr", mode="r")["kernel"][:])
    below = torch.block_diag(*[torch.ones(4, 4)] * 3)[:10, :10].cumsum(1) == 0
    assert torch.equal(array.isnan(), below)
    assert torch.equal(array[~below], store.rows(slice(None))[~below])


COMPUTE = """
import sys
from pathlib import Path
from convrfm.storage.stored_kernel import kept_kernel
from tests.storage.test_stored_kernel import recipe
with kept_kernel(Path(sys.argv[1]), recipe()) as kept:
    for place in kept.layout.places[:3]:
        kept.tile(place)
        print(flush=True)
    sys.stdin.read()
"""


def test_killed_it_is_finished_to_the_same_bits_and_what_is_there_is_not_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": f"{root / 'src'}:{root}"}
    other = subprocess.Popen(
        [sys.executable, "-c", COMPUTE, tmp_path / "K.zarr"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    assert other.stdout is not None
    assert other.stdin is not None
    for _ in range(3):
        assert other.stdout.readline()
    with pytest.raises(InputError, match="another convrfm writes"), kept_kernel(tmp_path / "K.zarr", recipe()):
        pass
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    other.stdout.close()
    other.stdin.close()
    (tmp_path / "K.zarr" / "kernel" / "c" / "0" / "2.half.partial").write_bytes(b"half")
    computed = []
    plain = KernelTiles.tile

    def noted(self: KernelTiles, place: tuple[int, int]) -> Tensor:
        computed.append(place)
        return plain(self, place)

    monkeypatch.setattr(KernelTiles, "tile", noted)
    written(tmp_path / "K.zarr")
    assert computed == recipe().layout.places[3:]
    written(tmp_path / "whole")
    assert bits(tmp_path / "K.zarr") == bits(tmp_path / "whole")


@pytest.mark.parametrize("half", ["zarr.half.partial", "kernel/zarr.half.partial"])
def test_killed_while_a_part_was_begun_the_part_is_begun_again(half: str, tmp_path: Path) -> None:
    written(tmp_path / "whole")
    half_written = tmp_path / "K.zarr" / half
    half_written.parent.mkdir(parents=True)
    if half_written.parent.name == "kernel":
        (tmp_path / "K.zarr" / "zarr.json").write_bytes((tmp_path / "whole" / "zarr.json").read_bytes())
    half_written.write_bytes(b"half")
    written(tmp_path / "K.zarr")
    assert bits(tmp_path / "K.zarr") == bits(tmp_path / "whole")
    assert not half_written.exists()


@pytest.mark.parametrize("made", ["zarr.json", "kernel/zarr.json"])
def test_killed_while_it_was_made_it_is_begun_again(made: str, tmp_path: Path) -> None:
    with kept_kernel(tmp_path / "K.zarr", recipe(), "int16"):
        pass
    order = ["zarr.json", "kernel/zarr.json", "scales/zarr.json"]
    for later in order[order.index(made) + 1 :]:
        (tmp_path / "K.zarr" / later).unlink()
    written(tmp_path / "K.zarr", precision="int16")
    written(tmp_path / "whole", precision="int16")
    assert bits(tmp_path / "K.zarr") == bits(tmp_path / "whole")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [flip, cut, empty])
@pytest.mark.parametrize("precision", ["float32", "int16"])
def test_a_damaged_tile_is_told_to_who_reads_and_computed_again_by_who_can(
    damage: Any, precision: Precision, tmp_path: Path
) -> None:
    store = written(tmp_path / "K.zarr", precision=precision)
    before, whole = bits(tmp_path / "K.zarr"), store.rows(slice(None))
    places = store.layout.places
    damaged = [chunks(tmp_path / "K.zarr")[1]]
    if precision == "int16":
        damaged.append(tmp_path / "K.zarr" / "scales" / "c" / "1" / "2")
    for path in damaged:
        damage(path)
    with pytest.raises(DamagedTileError, match=r"tile \(0, 1\) of .* is damaged"):
        store.tile(places[1])
    with (
        pytest.warns(UserWarning, match="damaged and is computed again") as told,
        kept_kernel(tmp_path / "K.zarr", recipe(), precision) as kept,
    ):
        kept.verify()
    assert len(told) == len(damaged)
    assert bits(tmp_path / "K.zarr") == before
    assert torch.equal(kept.store.rows(slice(None)), whole)


def test_a_matrix_that_is_not_complete_is_not_read(tmp_path: Path) -> None:
    with kept_kernel(tmp_path / "K.zarr", recipe()) as kept:
        kept.tile((0, 0))
    with pytest.raises(DamagedTileError, match=r"tile \(0, 1\) .* is missing"):
        TileStore.at(tmp_path / "K.zarr").rows(slice(0, 1))


STALE = {
    "images": lambda of: replace(of, x=of.x.clone().index_fill_(0, torch.tensor([9]), 0.0)),
    "kernel": lambda of: replace(of, kernel=kernels.Laplace(patch_size=2, bandwidth=3.1)),
    "metric": lambda of: replace(of, feature_matrix=METRIC + 1e-6 * torch.eye(4)),
    "against others": lambda of: replace(of, z=of.x),
    "tiles": lambda of: replace(of, side=5),
}


@pytest.mark.parametrize("change", STALE.values(), ids=STALE)
def test_a_stale_store_is_refused_and_left_alone(change: Any, tmp_path: Path) -> None:
    written(tmp_path / "K.zarr")
    before = bits(tmp_path / "K.zarr")
    with pytest.raises(InputError, match="holds the kernel matrix of other images"):
        written(tmp_path / "K.zarr", change(recipe()))
    assert bits(tmp_path / "K.zarr") == before


def test_a_store_of_another_version_or_precision_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "K.zarr")
    with pytest.raises(InputError, match="precision"):
        written(tmp_path / "K.zarr", precision="int16")
    monkeypatch.setattr(stored_kernel, "version", lambda name: "99")
    with pytest.raises(InputError, match="another convrfm"):
        written(tmp_path / "K.zarr")


def test_more_memory_for_temporaries_is_the_same_matrix(tmp_path: Path) -> None:
    written(tmp_path / "K.zarr")
    written(tmp_path / "K.zarr", replace(recipe(), kernel=replace(KERNEL, memory_budget=10**6)))


def of_pictures(folder: Path) -> None:
    (folder / "notes.partial").write_text("mine", encoding="utf-8")


def of_another_program(folder: Path) -> None:
    zarr = pytest.importorskip("zarr")
    zarr.open_group(folder, mode="a", attributes={"format": "theirs", "format_version": 1})


def of_broken_words(folder: Path) -> None:
    (folder / "zarr.json").write_text("{", encoding="utf-8")


@pytest.mark.parametrize("fill", [of_pictures, of_another_program, of_broken_words])
def test_what_is_no_store_is_refused_and_left_alone_and_nobody_is_told_to_remove_it(
    fill: Callable[[Path], None], tmp_path: Path
) -> None:
    fill(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*")}
    with pytest.raises(InputError, match="holds something else") as refused:
        written(tmp_path)
    assert not re.search(r"[Rr]emove|Error|\(", str(refused.value).replace(str(tmp_path), ""))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*")} == before
    with pytest.raises(InputError, match="there is no kernel matrix"):
        TileStore.at(tmp_path / "nothing")


def test_a_store_whose_own_words_are_lost_is_damaged(tmp_path: Path) -> None:
    written(tmp_path / "K.zarr")
    described = tmp_path / "K.zarr" / "zarr.json"
    said = json.loads(described.read_text(encoding="utf-8"))
    for lost in ("rows", "precision"):
        kept = {name: value for name, value in said["attributes"].items() if name != lost}
        described.write_text(json.dumps(said | {"attributes": kept}), encoding="utf-8")
        with pytest.raises(InputError, match=r"is a damaged kernel matrix of convrfm\. Remove it"):
            TileStore.at(tmp_path / "K.zarr")
    said["attributes"]["format_version"] = 99
    described.write_text(json.dumps(said), encoding="utf-8")
    with pytest.raises(InputError, match="has version 99"):
        TileStore.at(tmp_path / "K.zarr")


ALTERED = {
    "shape": lambda said: said | {"shape": [11, 10]},
    "tiles": lambda said: said | {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [5, 4]}}},
    "type": lambda said: said | {"data_type": "float64"},
    "checksums": lambda said: said | {"codecs": said["codecs"][:1]},
}


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_an_array_that_is_not_as_it_was_made_is_refused(alter: Any, tmp_path: Path) -> None:
    written(tmp_path / "K.zarr")
    described = tmp_path / "K.zarr" / "kernel" / "zarr.json"
    described.write_text(json.dumps(alter(json.loads(described.read_text(encoding="utf-8")))), encoding="utf-8")
    with pytest.raises(InputError, match="damaged"):
        TileStore.at(tmp_path / "K.zarr")


FULL = """
import resource, sys
from pathlib import Path
from convrfm.errors import InputError
from convrfm.storage.stored_kernel import kept_kernel
from tests.storage.test_stored_kernel import recipe
with kept_kernel(Path(sys.argv[1]), recipe()) as kept:
    kept.tile((0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))
    try:
        kept.tile((0, 1))
    except InputError as error:
        print(error)
"""


def test_a_tile_that_finds_no_room_is_an_error_and_no_tile(tmp_path: Path) -> None:
    """The system writes 50 of its 68 bytes and refuses the others, as a full disk does."""
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": f"{root / 'src'}:{root}"}
    said = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path / "K.zarr"], capture_output=True, text=True, env=environment, check=True
    )
    assert "cannot write" in said.stdout
    assert "Make room" in said.stdout
    assert [path.name for path in (tmp_path / "K.zarr" / "kernel" / "c").rglob("*") if path.is_file()] == ["0"]
    written(tmp_path / "K.zarr")
    written(tmp_path / "whole")
    assert bits(tmp_path / "K.zarr") == bits(tmp_path / "whole")


def test_a_disk_without_room_is_told_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 383}))
    with pytest.raises(InputError, match="KiB more, and its disk has"):
        written(tmp_path / "K.zarr")
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 384}))
    written(tmp_path / "K.zarr")
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 0}))
    written(tmp_path / "K.zarr")


def test_a_kernel_that_is_not_finite_is_not_kept(tmp_path: Path) -> None:
    with kept_kernel(tmp_path / "K.zarr", recipe()) as kept, pytest.raises(InputError, match="finite in float32"):
        kept.store.write((0, 0), torch.full((4, 4), 1e300, dtype=torch.float64))
    assert not chunks(tmp_path / "K.zarr")


def test_what_cannot_be_asked_for_is_told(as_a_user: None, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="side of tiles"):
        TileLayout(3, 3, 0, symmetric=True)
    with pytest.raises(InputError, match="precision of tiles"):
        TileStore.begin(tmp_path, recipe().layout, "float8", {})
    with pytest.raises(InputError, match="rows in their order"):
        written(tmp_path / "K.zarr").rows(slice(5, 5))


def test_tiles_of_a_million_images_are_some_tens_of_thousands() -> None:
    assert (default_side(50_000), default_side(10**6)) == (1024, 4096)
    assert len(TileLayout(10**6, 10**6, 4096, symmetric=True).places) == 245 * 246 // 2


def test_without_zarr_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "convrfm\[large\]"'):
        written(tmp_path / "K.zarr")
    assert not (tmp_path / "K.zarr").exists()


def test_it_leaves_no_warning_behind(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        written(tmp_path / "K.zarr", precision="int16")
