"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

from ..commands.choices import Unreadable
from ..errors import InputError

Data = Annotated[
    str,
    typer.Argument(
        help="A folder with a sub-folder per class (train, val and test are parts); a .npz or "
        ".parquet; bars, noisy-digits, star, sklearn:digits, torchvision:NAME."
    ),
]
Download = Annotated[bool, typer.Option("--download", help="Let torchvision fetch data.")]
Seed = Annotated[int, typer.Option(help="Decides every draw.", min=0)]
Device = Annotated[str, typer.Option(help='"auto" takes a GPU where there is one.')]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bars, and no estimates but of what is long.")]
ImageSize = Annotated[
    int | None, typer.Option(help="Bring pictures to this height and width: the center, cropped.", min=1)
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what an earlier run left in --out.")]
Workers = Annotated[
    int | None,
    typer.Option(help="Share the work (in fit: of --solver cg) between so many processes of this machine.", min=1),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="Share the work (in fit: of --solver cg) between the workers of a Dask scheduler, such as tcp://10.0.0.1:8786."
    ),
]
Labels = Annotated[Path | None, typer.Option(help="Table (CSV) of file names and labels, for a folder of pictures.")]
Broken = Annotated[Unreadable, typer.Option(help="Stop at a broken picture, or skip it.")]


def where_work_is_done(workers: int | None, scheduler: str | None) -> int | str | None:
    """Where tiles are computed, of the two options that tell it; None for this process."""
    if workers is not None and scheduler is not None:
        raise InputError("--workers begins processes here, --scheduler asks those of a cluster. Pass one of them.")
    return workers if scheduler is None else scheduler
