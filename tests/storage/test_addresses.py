"""A kernel matrix at an address of fsspec is the one in a folder: whole, continued, never a wrong one."""

import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from convrfm import kernels
from convrfm.cli import app
from convrfm.errors import InputError, MissingDependencyError
from convrfm.kernels.kernel_tiles import KernelTiles
from convrfm.storage import lease
from convrfm.storage.lease import LEASE
from convrfm.storage.locations import Address, Folder, located
from convrfm.storage.shared_arrays import shared_arrays
from convrfm.storage.stored_kernel import kept_kernel
from convrfm.storage.tile_store import TileStore
from convrfm.workers import workers

zarr = pytest.importorskip("zarr")
zarr_storage = pytest.importorskip("zarr.storage")
fsspec = pytest.importorskip("fsspec")
KERNEL = kernels.Laplace(patch_size=2, bandwidth=3.0)


def recipe(kernel: Any = KERNEL) -> KernelTiles:
    images = torch.randn(10, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    return KernelTiles(kernel, images, None, None, side=4)


@pytest.fixture
def address() -> Iterator[str]:
    top = f"memory://{uuid.uuid4().hex}"
    yield f"{top}/K.zarr"
    files, path = fsspec.core.url_to_fs(top)
    if files.exists(path):
        files.rm(path, recursive=True)


def objects(at: str | Path) -> dict[str, bytes]:
    files, path = fsspec.core.url_to_fs(str(at))
    return {name.removeprefix(path): files.cat_file(name) for name in files.find(path)}


def put(address: str, name: str, content: bytes) -> None:
    files, path = fsspec.core.url_to_fs(address)
    files.pipe_file(f"{path}/{name}", content)


def written(at: str | Path, of: KernelTiles | None = None, **settings: Any) -> TileStore:
    with kept_kernel(at, recipe() if of is None else of, **settings) as kept:
        kept.complete()
    return kept.store


@pytest.mark.parametrize("precision", ["float32", "int16"])
def test_its_objects_have_the_bits_of_the_files_in_a_folder(precision: Any, address: str, tmp_path: Path) -> None:
    there = written(address, precision=precision)
    here = written(tmp_path / "K.zarr", precision=precision)
    assert objects(address) == objects(tmp_path / "K.zarr")
    assert torch.equal(TileStore.at(address).rows(slice(None)), here.rows(slice(None)))
    assert there.missing == []


def test_what_is_there_is_not_computed_again_and_what_is_damaged_is(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kept_kernel(address, recipe()) as kept:
        for place in kept.layout.places[:3]:
            kept.tile(place)
    computed = []
    plain = KernelTiles.tile

    def noted(self: KernelTiles, place: tuple[int, int]) -> torch.Tensor:
        computed.append(place)
        return plain(self, place)

    monkeypatch.setattr(KernelTiles, "tile", noted)
    written(address)
    assert computed == recipe().layout.places[3:]
    whole = objects(address)
    put(address, "kernel/c/0/1", b"short")
    with pytest.warns(UserWarning, match="damaged and is computed again"), kept_kernel(address, recipe()) as kept:
        kept.verify()
    assert objects(address) == whole


def test_what_is_stale_or_no_store_is_refused_and_left_alone(address: str) -> None:
    written(address)
    before = objects(address)
    with pytest.raises(InputError, match=f"{address} holds the kernel matrix of other images"):
        written(address, recipe(replace(KERNEL, bandwidth=3.1)))
    assert objects(address) == before
    put(f"{address}.other", "notes.txt", b"mine")
    with pytest.raises(InputError, match="holds something else"):
        written(f"{address}.other")
    assert objects(f"{address}.other") == {"/notes.txt": b"mine"}
    with pytest.raises(InputError, match="there is no kernel matrix"):
        TileStore.at(f"{address}.nothing")


def test_a_second_writer_is_refused_and_the_first_one_leaves_no_lease(address: str) -> None:
    with kept_kernel(address, recipe()), pytest.raises(InputError, match="another convrfm writes"):
        written(address)
    assert not any(LEASE in name for name in objects(address))


def of(host: str, process: int, age: float, machine: list[str] | None = None) -> bytes:
    at = time.time() - age
    return json.dumps({"host": host, "machine": machine, "process": process, "token": "its", "at": at}).encode()


GONE = 2**22 + 1  # no process has a number as large


def test_a_lease_is_kept_as_long_as_its_process_may_live(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here, machine = os.uname().nodename, lease._machine()
    if machine is None:
        pytest.skip("where nothing tells machines apart, each lease has to lapse")
    put(address, LEASE, of("elsewhere", 1, age=10))
    with pytest.raises(InputError, match=r"process 1 of elsewhere.*wait for it; where it was killed, for (29|28)\d s"):
        written(address)
    other_boot, other_container = [here, "boot", machine[2]], [here, machine[1], "pid:[1]"]
    for unknown in (None, other_boot, other_container):
        put(address, LEASE, of(here, GONE, age=10, machine=unknown))
        with pytest.raises(InputError, match="another convrfm writes"):
            written(address)
    put(address, LEASE, of(here, os.getpid(), age=10, machine=machine))
    with pytest.raises(InputError, match="another convrfm writes"):
        written(address)
    for gone in (of("elsewhere", 1, age=1000), of(here, GONE, age=10, machine=machine), b"{"):
        put(address, LEASE, gone)
        written(address)
    monkeypatch.setattr(lease, "BOOT", Path("/nowhere"))
    put(address, LEASE, of(here, GONE, age=10))
    with pytest.raises(InputError, match="another convrfm writes"):
        written(address)


def test_a_lease_of_another_is_neither_renewed_nor_removed(address: str) -> None:
    others = of("elsewhere", 1, age=0)
    files, path = fsspec.core.url_to_fs(address)
    with lease.leased(files, path, address) as own:
        own.check()
        put(address, LEASE, others)
        own.renew()
        with pytest.raises(InputError, match="may be another convrfm's by now"):
            own.check()
    assert objects(address) == {f"/{LEASE}": others}


def test_a_lease_that_lapsed_is_not_renewed_and_its_process_writes_no_tile(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, path = fsspec.core.url_to_fs(f"{address}.2")
    with kept_kernel(address, recipe()) as kept, lease.leased(files, path, f"{address}.2") as own:
        before = objects(address), objects(f"{address}.2")
        monkeypatch.setattr(lease, "LAPSES_AFTER", -1.0)
        with pytest.raises(InputError, match="may be another convrfm's by now"):
            kept.complete()
        own.renew()
        assert (objects(address), objects(f"{address}.2")) == before


@pytest.mark.parametrize("precision", ["float32", "int16"])
def test_a_tile_is_not_written_into_another_matrix(precision: Any, address: str) -> None:
    first = written(address, precision=precision)
    files, path = fsspec.core.url_to_fs(address)
    files.rm(path, recursive=True)
    written(address, recipe(replace(KERNEL, bandwidth=3.1)), precision=precision)
    before = objects(address)
    with pytest.raises(InputError, match=f"{address} holds another matrix by now"):
        first.write((0, 0), torch.ones(4, 4))
    assert objects(address) == before


def test_of_two_that_take_over_a_lapsed_lease_one_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one takes it between the look and the removal: its lease stays; one that only removed it is not in the way."""
    files, _ = fsspec.core.url_to_fs(address)
    plain = type(files).cat_file
    lapsed, others = of("elsewhere", 1, age=1000), of("elsewhere", 2, age=0).replace(b"its", b"another's")

    def raced(self: Any, name: str, *way: Any, **others_: Any) -> Any:
        content = plain(self, name, *way, **others_)
        if content == lapsed:
            put(address, LEASE, others)
        return content

    put(address, LEASE, lapsed)
    with monkeypatch.context() as patched:
        patched.setattr(type(files), "cat_file", raced)
        with pytest.raises(InputError, match="process 2 of elsewhere"):
            written(address)
    assert objects(address) == {f"/{LEASE}": others}

    removed = type(files).rm_file

    def gone(self: Any, name: str) -> None:
        removed(self, name)
        raise FileNotFoundError(name)

    put(address, LEASE, lapsed)
    with monkeypatch.context() as patched:
        patched.setattr(type(files), "rm_file", gone)
        assert written(address).missing == []


@pytest.mark.parametrize("atomic", [True, False])
def test_of_two_that_begin_at_once_one_is_refused(atomic: bool, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one writes its lease between the look and the write, in a store that creates exclusively or not."""
    files, _ = fsspec.core.url_to_fs(address)
    plain = type(files).pipe_file

    def raced(self: Any, path: str, value: bytes, mode: str = "overwrite", **others: Any) -> None:
        if mode == "create" and atomic:
            plain(self, path, of("elsewhere", 1, age=0))
        plain(self, path, value, mode=mode if atomic else "overwrite", **others)
        if mode == "create" and not atomic:
            plain(self, path, of("elsewhere", 1, age=0))

    monkeypatch.setattr(type(files), "pipe_file", raced)
    with pytest.raises(InputError, match="process 1 of elsewhere"):
        written(address)


def test_a_lease_is_renewed(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEWED_EVERY", 0.001)
    with kept_kernel(address, recipe()):
        first = objects(address)[f"/{LEASE}"]
        while objects(address).get(f"/{LEASE}", first) == first:
            time.sleep(0.001)


def test_an_address_that_cannot_be_written_or_read_is_told(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_: Any, **__: Any) -> None:
        raise RuntimeError("no credentials")

    files, _ = fsspec.core.url_to_fs(address)
    monkeypatch.setattr(type(files), "pipe_file", refusing)
    with pytest.raises(InputError, match=f"cannot write {address}: no credentials"):
        written(address)
    with pytest.raises(InputError, match="no address that fsspec knows"):
        written("nonsense://bucket/K.zarr")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingDependencyError, match="s3fs"):
        written("s3://bucket/K.zarr")


def failing(error: BaseException) -> Any:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    return fail


@pytest.mark.parametrize("error", [PermissionError("refused"), RuntimeError("no network")])
def test_a_store_out_of_reach_is_never_taken_for_an_empty_or_a_damaged_one(
    error: Exception, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kept_kernel(address, recipe()) as kept:
        kept.complete()
        before, files = objects(address), type(fsspec.core.url_to_fs(address)[0])
        with monkeypatch.context() as patched:
            for request in ("ls", "info", "rm"):
                patched.setattr(files, request, failing(error))
            at = kept.store.location
            asked = [lambda: at.exists, lambda: at.is_used, lambda: kept.store.missing, at.remove, kept.verify]
            for ask in [*asked, lambda: at.has("kernel/c/0/0"), lambda: TileStore.at(address)]:
                with pytest.raises(InputError, match=f"cannot reach {address}: .*{error}"):
                    ask()
        with monkeypatch.context() as patched:
            patched.setattr(zarr_storage.FsspecStore, "get", failing(error))
            with pytest.raises(InputError, match=f"cannot read {address}: {error}"):
                kept.tile((0, 0))
        assert objects(address) == before


def test_a_store_that_refuses_the_connection_is_told() -> None:
    pytest.importorskip("fsspec.implementations.ftp")
    for ask in (lambda at: at.exists, TileStore.at, lambda at: at.held().__enter__()):
        with pytest.raises(InputError, match=r"cannot reach ftp://127\.0\.0\.1:1/K\.zarr"):
            ask(Address("ftp://127.0.0.1:1/K.zarr"))


def test_what_lies_deep_or_beside_the_lease_is_something(address: str) -> None:
    put(address, LEASE, of("elsewhere", 1, age=1000))
    assert not Address(address).is_used
    put(address, "a/b/c/deep.txt", b"mine")
    assert Address(address).is_used
    assert Address(address).names("a") == {"b/c/deep.txt"}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), TypeError("no such dtype")])
def test_shared_arrays_leave_nothing_whatever_ends_their_making(
    error: BaseException, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = {"x": torch.ones(2, 3), "z": torch.ones(2, 3)}
    plain = zarr.Group.create_array

    def broken(self: Any, name: str, **settings: Any) -> Any:
        if name == "z":
            raise error
        return plain(self, name, **settings)

    monkeypatch.setattr(zarr.Group, "create_array", broken)
    with pytest.raises((type(error), InputError)), shared_arrays(Address(address), tensors, 2):
        pass
    assert objects(address) == {}


def test_rows_of_shared_arrays_that_are_lost_are_not_taken_for_black_images(tmp_path: Path) -> None:
    with shared_arrays(tmp_path / "shared", {"x": torch.zeros(4, 3)}, 2) as arrays:
        assert torch.equal(arrays.read("x"), torch.zeros(4, 3))
        (tmp_path / "shared" / "x" / "c" / "1" / "0").unlink()
        assert torch.equal(arrays.read("x", slice(0, 2)), torch.zeros(2, 3))
        with pytest.raises(InputError, match="rows of x are missing"):
            arrays.read("x")


def test_shared_arrays_that_cannot_be_removed_hide_no_error(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = type(fsspec.core.url_to_fs(address)[0])
    with (
        monkeypatch.context() as patched,
        pytest.warns(UserWarning, match="could not be removed: cannot reach"),
        pytest.raises(ZeroDivisionError),
        shared_arrays(Address(address), {"x": torch.ones(2, 3)}, 2),
    ):
        patched.setattr(files, "rm", failing(RuntimeError("no network")))
        raise ZeroDivisionError


def test_workers_write_where_an_address_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files by fsspec, which two processes reach; an address of files is else taken as their folder."""
    pytest.importorskip("distributed")
    monkeypatch.setitem(fsspec.config.conf, "file", {"auto_mkdir": True})
    monkeypatch.setenv("FSSPEC_FILE_AUTO_MKDIR", "true")
    at = Address(f"file://{tmp_path}/there.zarr")
    with workers(1) as helping:
        written(at, workers=helping)
    assert objects(tmp_path / "there.zarr") == objects(written(tmp_path / "here.zarr").location.zarr)


def test_files_have_folders_and_folders_names() -> None:
    assert located("file:///data/K.zarr") == located("/data/K.zarr") == Folder(Path("/data/K.zarr"))
    assert located("s3://bucket/K.zarr/") == Address("s3://bucket/K.zarr")
    assert located("K.zarr") == Folder(Path.cwd() / "K.zarr")
    with pytest.raises(InputError, match="Pass an address as a text"):
        located(Path("s3://bucket/K.zarr"))


def test_the_command_writes_tiles_and_tables_there(address: str, tmp_path: Path) -> None:
    command = ["kernel", "bars", "--depth", "1", "--n-train", "6", "--tile", "4", "--quiet", "--out"]
    for out in (address, str(tmp_path / "K.zarr")):
        result = CliRunner().invoke(app, [*command, out], terminal_width=200)
        assert result.exit_code == 0, result.output
        assert f"6 x 6 kernel matrix: {out}" in result.output
    assert objects(address.removesuffix("/K.zarr")) == objects(tmp_path)
