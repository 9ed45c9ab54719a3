"""Files that are not read: two lines of Python for each kind make a `.npz` of them.

They are shown and not run: a pickle can run any code, and what means what in the others is for their owner to say.
"""

import math
import re
from pathlib import Path

BEGINNING = 300
LONGEST_HEADER = 1 << 20  # of a table, in characters
PIXEL = re.compile(r"pixel_?\d+|\d+x\d+")
TENSORS, SHEETS = (".pt", ".pth"), (".ods", ".xls", ".xlsx")
PICTURE = 3 * 32 * 32  # bytes of one of CIFAR's; a shorter pickle beside the batches holds the names of classes
RED_FIRST = "\n(red, green and blue of each pixel side by side; where all of red come first: {})"
SVHN = "\n(the arrays of SVHN; others have other names and axes)"


def how_to_convert(path: Path) -> str | None:
    """What to do with a file of a kind that is known by its beginning; None for others."""
    if not path.is_file():  # a pipe would wait for ever
        return None
    try:
        with path.open("rb") as file:
            begins, length = file.read(BEGINNING), path.stat().st_size
    except OSError:
        return None
    target = repr(path.name.removesuffix(".gz").split(".")[0] + ".npz")
    source = repr(path.name)
    if begins.startswith(b"\x93NUMPY"):
        return _lines(f'x, y = np.load({source}), np.load("LABELS.npy")', f"np.savez({target}, x=x, y=y)")
    if begins.startswith(b"MATLAB 5.0"):
        return (
            _lines(
                f"m = scipy.io.loadmat({source})",
                f'np.savez({target}, x=m["X"].transpose(3, 2, 0, 1), y=m["y"].ravel())',
                imports="import numpy as np, scipy.io",
            )
            + SVHN
        )
    if begins.startswith(b"MATLAB 7.3"):
        return (
            _lines(
                f'm = h5py.File({source}, "r")',  # which has MATLAB's axes in reverse
                f'np.savez({target}, x=m["X"][:].transpose(0, 1, 3, 2), y=m["y"][:].ravel())',
                imports="import numpy as np, h5py",
            )
            + SVHN
        )
    if begins.startswith(b"\x89HDF"):
        return _lines(
            f'f = h5py.File({source}, "r")',
            f'np.savez({target}, x=f["x"][:], y=f["y"][:])',
            imports="import numpy as np, h5py",
        )
    if "idx3-ubyte" in path.name or "idx1-ubyte" in path.name:
        images = path.name.replace("labels", "images").replace("idx1", "idx3")
        labels = path.name.replace("images", "labels").replace("idx3", "idx1")
        read = "np.fromfile(name, np.uint8, offset=skip)"
        if path.suffix == ".gz":
            read = 'np.frombuffer(gzip.open(name, "rb").read(), np.uint8, offset=skip)'
        return _lines(
            f"read = lambda name, skip: {read}",
            f"np.savez({target}, x=read({images!r}, 16).reshape(-1, 28, 28), y=read({labels!r}, 8))",
            imports="import gzip, numpy as np",
        )
    if path.suffix.lower() in TENSORS:
        return (
            _lines(
                f"x, y = torch.load({source}, weights_only=True)",
                f"np.savez({target}, x=x, y=y)",
                imports="import numpy as np, torch",
            )
            + "\n(of a pair of tensors, images and labels; others hold other things)"
        )
    if path.suffix.lower() == ".arrow":
        return _as_parquet(path)
    if begins[:1] == b"\x80" and begins[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05") and length > PICTURE:
        labels = '"fine_labels" if "fine_labels" in d else "labels"'
        return (
            _lines(
                f'd = pickle.loads(pathlib.Path({source}).read_bytes(), encoding="latin1")',
                f'np.savez({target}, x=np.reshape(d["data"], (-1, 3, 32, 32)), y=d[{labels}])',
                imports="import pathlib, pickle, numpy as np",
            )
            + "\n(a batch of CIFAR-10 or CIFAR-100; a pickle can run any code, so only if you trust where it is from)"
        )
    if begins.startswith(b"\x1f\x8b") or begins[257:262] == b"ustar" or _is_zip(path, begins):
        return "Unpack it, and pass the folder."
    if path.suffix.lower() in SHEETS:
        table = str(path.with_suffix(".csv"))
        return f"Save it as CSV, and pass the folder of its pictures; to fit or to predict, with the table: labels={table!r}."
    if path.suffix.lower() in (".csv", ".tsv"):
        return _of_pixels(path, target) or (
            f"Pass the folder of its pictures; to fit or to predict, with the table: labels={str(path)!r}."
        )
    return None


def _is_zip(path: Path, begins: bytes) -> bool:
    """Whether it is an archive, and not a document or a model, which are zipped too."""
    return begins.startswith(b"PK\x03\x04") and path.suffix.lower() in ("", ".zip")


def _as_parquet(path: Path) -> str:
    """For what `save_to_disk` of Hugging Face's datasets wrote: one data set, or one for each part."""
    folder, line = path.parent, 'datasets.load_from_disk(".").to_parquet("data.parquet")'
    if (folder.parent / "dataset_dict.json").is_file():
        folder = folder.parent
        line = 'for part, data in datasets.load_from_disk("..").items(): data.to_parquet(f"../{part}.parquet")'
    return f"Two lines write it as parquet; pass {folder} after that:\n    import datasets\n    {line}"


def _of_pixels(path: Path, target: str) -> str | None:
    """For a table with a column for each value of square images, gray or colored, and perhaps labels; None for others."""
    with path.open(encoding="utf-8", errors="replace") as file:
        names = [name.strip(" \"'\r\n\ufeff").casefold() for name in file.readline(LONGEST_HEADER).split(",")]
    labels = [column for column, name in enumerate(names) if name == "label"]
    n_pixels = sum(PIXEL.fullmatch(name) is not None for name in names)
    colors, side = next(((c, s) for c in (1, 3) if c * (s := math.isqrt(n_pixels // c)) ** 2 == n_pixels), (1, 0))
    if not side or len(labels) > 1 or len(labels) + n_pixels != len(names):
        return None
    shape = f"reshape(-1, {side}, {side}{', 3' * (colors == 3)})"
    arrays = f"x=t.{shape}"
    if labels:
        arrays = f"x=np.delete(t, {labels[0]}, 1).{shape}, y=t[:, {labels[0]}]"
    lines = _lines(
        f't = np.loadtxt({path.name!r}, np.uint8, delimiter=",", skiprows=1)',
        f"np.savez({target}, {arrays})",
    )
    return lines + RED_FIRST.format(f"reshape(-1, 3, {side}, {side})") if colors == 3 else lines


def _lines(*lines: str, imports: str = "import numpy as np") -> str:
    return "\n".join(["Two lines make an .npz of it:", f"    {imports}", *(f"    {line}" for line in lines)])
