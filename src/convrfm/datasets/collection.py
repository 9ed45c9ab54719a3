"""A folder of data sets, each found by its name, however its file or folder is spelled."""

import re
from pathlib import Path

from ..errors import InputError
from .walking import visible

SUFFIXES = (".npz", ".parquet")


def find_data_set(name: str, folder: str | Path) -> Path:
    """The folder, `.npz` or `.parquet` of this name in a folder, or in one of its folders.

    Case, signs and what follows the name count for nothing where they decide nothing: "CIFAR-10" is found as `cifar10/`
    and not as `cifar100/`, "GTSRB" as `gtsrb32/`, "PneumoniaMNIST" as `medmnist/pneumoniamnist_small.npz`.

    Raises:
        InputError: If there is none, or several that fit equally well.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} must be a folder of data sets. Look at the path.")
    entries = [path for path in visible(folder) if path.is_dir() or path.suffix.lower() in SUFFIXES]
    inner = [p for path in entries if path.is_dir() for p in visible(path) if p.suffix.lower() in SUFFIXES]
    wanted = _plain(name)
    by_name = {path: _plain(path.stem if path.is_file() else path.name) for path in (*entries, *inner)}
    found = [path for path, plain in by_name.items() if plain == wanted]
    signs = r"[\W_]*"
    begins = re.compile(f"{signs}{signs.join(wanted)}(?!(?<=\\d)\\d)")  # a number at the end of the name is a whole one
    found = found or [path for path in by_name if begins.match(path.name.casefold())]
    if len(found) == 1:
        return found[0]
    came = f"{', '.join(str(path.relative_to(folder)) for path in found)}" if found else "none"
    remedy = "Rename one of them." if found else f"It holds {', '.join(path.name for path in entries) or 'nothing'}."
    raise InputError(f"{folder} must hold {name}, as a folder, .npz or .parquet; got {came}. {remedy}")


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())
