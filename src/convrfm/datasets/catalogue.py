"""Which reader reads what: by name, by prefix, by kind of file."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..errors import InputError
from .adapters import (
    read_bars,
    read_noisy_digits,
    read_sklearn_digits,
    read_star,
)
from .arrays import read_npz
from .atlases import holds_atlases, read_atlases
from .conversions import how_to_convert
from .folders import is_picture, read_class_folders
from .label_tables import read_labeled_folder
from .parquet import read_parquet, read_parquet_folder
from .pictures import SUFFIXES
from .sources import Reading, Source
from .splits import classes_of
from .torchvision_sets import EDITIONS, read_torchvision
from .walking import Walk, first_few, left_out, walk

GENERATED: Mapping[str, Callable[[Reading], Source]] = {
    "bars": read_bars,
    "noisy-digits": read_noisy_digits,
    "star": read_star,
}
BY_NAME: Mapping[str, Callable[[Reading], Source]] = {**GENERATED, "sklearn:digits": read_sklearn_digits}
BY_PREFIX: Mapping[str, Callable[[str, Reading], Source]] = {"torchvision": read_torchvision}
BY_SUFFIX: Mapping[str, Callable[[Path, Reading], Source]] = {".npz": read_npz, ".parquet": read_parquet}
OTHER_FILE = (
    f"What is read: pictures ({', '.join(sorted(SUFFIXES))}) in folders, to be predicted also by themselves, arrays as .npz "
    "and data sets of Hugging Face as .parquet. Save what it holds as one of these."
)


def is_name(data: str | Path) -> bool:
    """Whether `data` names a data set rather than a path; a `Path` never does."""
    return isinstance(data, str) and (data in BY_NAME or data.partition(":")[0] in BY_PREFIX)


def read_source(data: str | Path, reading: Reading) -> Source:
    """Read a named data set, a folder of class folders, of atlases, of labeled pictures or of parquet files, or a file.

    Raises:
        InputError: If there is nothing of that name, or its reader finds a fault.
    """
    if reading.labels is not None:
        if is_name(data) or not Path(data).is_dir():
            raise InputError(f"labels belong to a folder of pictures; got them for {data}. Leave them out.")
        return read_labeled_folder(Path(data), reading.labels, reading)
    if is_name(data):
        name = str(data)
        prefix, _, rest = name.partition(":")
        return BY_NAME[name](reading) if name in BY_NAME else BY_PREFIX[prefix](rest, reading)
    path = Path(data)
    if path.is_dir() and holds_atlases(path):
        return read_atlases(path)
    if path.is_dir():
        found = walk(path)
        if tables := [file for file in found.files if file.suffix.lower() == ".parquet"]:
            return read_parquet_folder(path, tables, _beside_parquet(path, tables, found), reading)
        return read_class_folders(path, reading)
    if path.is_file() and path.suffix.lower() in BY_SUFFIX:
        return BY_SUFFIX[path.suffix.lower()](path, reading)
    known = [*BY_NAME, *(f"torchvision:{name}" for name in EDITIONS)]
    close = difflib.get_close_matches(str(data), known, n=1)
    remedy = f"Did you mean {close[0]}?" if close else "Look at the path."
    came = "nothing of that name"
    if path.is_file():
        came, remedy = "a file of another kind", how_to_convert(path) or OTHER_FILE
    raise InputError(
        f"{data} must be a folder with one sub-folder per class, an .npz or .parquet file, torchvision:NAME "
        f"or one of {', '.join(BY_NAME)}; got {came}. {remedy}"
    )


def _beside_parquet(folder: Path, tables: Sequence[Path], found: Walk) -> list[str]:
    """Sentences on what else lies in a folder of parquet files; pictures in several folders may be meant, and are refused."""
    others = sorted(set(found.files) - set(tables))
    if len(classes := classes_of(folder, [file for file in others if is_picture(file)])) > 1:
        raise InputError(
            f"{folder} must hold folders of pictures or parquet files, not both; got pictures in {', '.join(classes[:5])} and "
            f"{first_few(tables, folder)}. Pass a parquet file, or their folder, by itself, or move them away."
        )
    return left_out("beside parquet files", folder, others) + found.notes(folder)
