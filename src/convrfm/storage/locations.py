"""Where a store lies: in a folder, or at an address of fsspec, such as s3://bucket/K.zarr."""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from ..errors import InputError, MissingDependencyError
from ..optional import imported
from .atomic import ADDRESS, written_whole
from .held_folder import held, is_used
from .lease import LEASE, leased

HALF_WRITTEN = "*.partial"  # as Zarr calls its files until they are whole
FOLDERS = ("file://", "local://")


class Location(ABC):
    """Where one process writes and others read; small enough to be told to workers."""

    failures: ClassVar[tuple[type[Exception], ...]]
    """What reading and writing there raises."""

    @property
    @abstractmethod
    def zarr(self) -> Any:
        """What Zarr opens."""

    @property
    @abstractmethod
    def exists(self) -> bool:
        """Whether there is anything."""

    @property
    @abstractmethod
    def is_used(self) -> bool:
        """Whether there is something that holding it did not put there."""

    @property
    def free(self) -> int | None:
        """Bytes that there is room for; None where nobody tells."""
        return None

    @abstractmethod
    def held(self) -> AbstractContextManager[Callable[[], None]]:
        """Keep other processes out that ask for it; raises `InputError` where one is in it, or nothing can be written.

        What it yields is to be called before each write, and raises `InputError` once another may be in it.
        """

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether there is an object of this name, "kernel/c/0/1" for instance."""

    @abstractmethod
    def names(self, under: str) -> set[str]:
        """Of all objects under a name, without it."""

    @abstractmethod
    def within(self, name: str) -> "Location":
        """A place in it."""

    @abstractmethod
    def write_beside(self, name: str, content: bytes) -> None:
        """Write an object next to it, whole or not at all; raises `InputError`."""

    @abstractmethod
    def remove(self) -> None:
        """Take away all that is there."""

    def drop_half_written(self, *, below: bool) -> None:  # noqa: B027 (objects of most stores are whole)
        """Take away what a process was killed in the middle of, of Zarr's own words alone or of all `below`."""


@dataclass(frozen=True)
class Folder(Location):
    """A folder that all who read and write reach by the same name."""

    path: Path
    failures = (OSError,)

    def __str__(self) -> str:
        return str(self.path)

    @property
    @override
    def zarr(self) -> Path:
        return self.path

    @property
    @override
    def exists(self) -> bool:
        return self.path.is_dir()

    @property
    @override
    def is_used(self) -> bool:
        return is_used(self.path)

    @property
    @override
    def free(self) -> int | None:
        return shutil.disk_usage(self.path).free

    @contextmanager
    @override
    def held(self) -> Iterator[Callable[[], None]]:
        with held(self.path):
            yield lambda: None  # the lock lasts as long as the process

    @override
    def has(self, name: str) -> bool:
        return (self.path / name).is_file()

    @override
    def names(self, under: str) -> set[str]:
        top = self.path / under
        return {path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_file()}

    @override
    def within(self, name: str) -> "Folder":
        return Folder(self.path / name)

    @override
    def write_beside(self, name: str, content: bytes) -> None:
        with written_whole(self.path.with_name(name)) as partial:
            partial.write_bytes(content)

    @override
    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    @override
    def drop_half_written(self, *, below: bool) -> None:
        for path in self.path.rglob(HALF_WRITTEN) if below else self.path.glob(f"zarr.{HALF_WRITTEN}"):
            path.unlink()


@dataclass(frozen=True)
class Address(Location):
    """An address of fsspec, whose store writes every object whole or not at all, as object stores do."""

    address: str
    failures = (Exception,)  # every file system has its own

    def __str__(self) -> str:
        return self.address

    @property
    @override
    def zarr(self) -> Any:
        with self._reached():
            return imported("zarr.storage", "large").FsspecStore.from_url(self.address, storage_options=UNCACHED)

    @property
    @override
    def exists(self) -> bool:
        return self._is_there("")

    @property
    @override
    def is_used(self) -> bool:
        with self._reached() as (files, path):
            return any(entry["name"].rpartition("/")[2] != LEASE for entry in _listed(files, path))

    @contextmanager
    @override
    def held(self) -> Iterator[Callable[[], None]]:
        with leased(*self._opened, self.address) as lease:
            yield lease.check

    @override
    def has(self, name: str) -> bool:
        return self._is_there(f"/{name}")

    @override
    def names(self, under: str) -> set[str]:
        with self._reached() as (files, path):
            top = f"{path}/{under}"
            return {name.removeprefix(f"{top}/") for name in _names(files, top)}

    @override
    def within(self, name: str) -> "Address":
        return Address(f"{self.address}/{name}")

    @override
    def write_beside(self, name: str, content: bytes) -> None:
        files, path = self._opened
        try:
            files.pipe_file(f"{path.rpartition('/')[0]}/{name}", content)
        except self.failures as error:
            raise InputError(f"cannot write {name} beside {self.address}: {error}. Look at its rights.") from error

    @override
    def remove(self) -> None:
        with self._reached() as (files, path), suppress(FileNotFoundError):
            files.rm(path, recursive=True)

    def _is_there(self, name: str) -> bool:
        with self._reached() as (files, path):
            try:
                files.info(path + name)  # of which the file system's own `exists` takes any failure for absence
            except FileNotFoundError:
                return False
            return True

    @contextmanager
    def _reached(self) -> Iterator[tuple[Any, str]]:
        """Its file system and its path there; what fails within is an `InputError`."""
        files, path = self._opened
        try:
            yield files, path
        except (InputError, MissingDependencyError):
            raise
        except self.failures as error:
            raise self._out_of_reach(error) from error

    def _out_of_reach(self, error: Exception) -> InputError:
        return InputError(
            f"cannot reach {self.address}: {error!r}. Look at its rights and the network, and run the command again."
        )

    @property
    def _opened(self) -> tuple[Any, str]:
        """Its file system and its path there."""
        try:
            files, path = imported("fsspec.core", "large").url_to_fs(self.address, **UNCACHED)
        except ImportError as error:
            raise MissingDependencyError(f"{self.address} needs another package: {error}.") from error
        except ValueError as error:
            raise InputError(
                f"{self.address} is no address that fsspec knows ({error}). Pass one, such as s3://bucket/K.zarr, or a folder."
            ) from error
        except self.failures as error:  # some connect at once
            raise self._out_of_reach(error) from error
        return files, path.rstrip("/")


def _listed(files: Any, path: str) -> list[dict[str, Any]]:
    """What lies directly at a path; some stores list the path itself too."""
    try:
        entries = files.ls(path, detail=True)
    except FileNotFoundError:
        return []
    return [entry for entry in entries if entry["type"] != "directory" or entry["name"].rstrip("/") != path]


def _names(files: Any, path: str) -> Iterator[str]:
    """Of all objects below a path; the file system's own `find` takes a failure for absence."""
    for entry in _listed(files, path):
        if entry["type"] == "directory":
            yield from _names(files, entry["name"].rstrip("/"))
        else:
            yield entry["name"]


UNCACHED = {"use_listings_cache": False}  # others write there too


def located(where: str | Path | Location) -> Location:
    """A folder, or what an address with its protocol names; raises `InputError` for an address in a `Path`."""
    if isinstance(where, Location):
        return where
    words = str(where)
    if words.startswith(FOLDERS):
        return Folder(Path(words.partition("://")[2]).resolve())
    if isinstance(where, str) and "://" in where:
        return Address(where.rstrip("/"))
    if ADDRESS.match(words):
        raise InputError(
            f"{words} must be a folder or an address with two slashes, such as s3://bucket/K.zarr. Pass an address as a text: "
            "a Path drops one of them."
        )
    return Folder(Path(where).resolve())
