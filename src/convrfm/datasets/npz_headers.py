"""What the arrays of a `.npz` file are, read from their headers alone."""

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass(frozen=True)
class Header:
    """Shape and type of an array."""

    shape: tuple[int, ...]
    dtype: np.dtype


def read_headers(path: Path) -> dict[str, Header]:
    """The headers of all arrays, by name.

    Raises:
        ValueError: If the file is no `.npz`, an array holds Python objects, or claims more than the file has.
        zipfile.BadZipFile: If the file is damaged, and `OSError`, `EOFError` or `zlib.error` likewise.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError("it is another kind of file, or cut short")
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
        return {member.filename.removesuffix(".npy"): _header(archive, member) for member in members}


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Header:
    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        if version not in READERS:
            raise ValueError(f"{member.filename} has a header of version {version}")
        shape, _, dtype = READERS[version](stream)
        if dtype.hasobject:
            raise ValueError(f"{member.filename} holds Python objects, and reading those could run code")
        if math.prod(shape) * dtype.itemsize > member.file_size - stream.tell():
            raise ValueError(f"{member.filename} claims to be {shape} of {dtype}, more than the file holds")
    return Header(shape, dtype)
