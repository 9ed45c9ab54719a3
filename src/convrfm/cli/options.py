"""Options that several commands have."""

from typing import Annotated

import typer

from ..commands.choices import Unreadable

Data = Annotated[
    str,
    typer.Argument(
        help="A folder with a sub-folder per class (train, val and test are parts), or of pictures with --labels; a .npz or "
        ".parquet; bars, noisy-digits, star, sklearn:digits, torchvision:NAME."
    ),
]
Download = Annotated[bool, typer.Option("--download", help="Let torchvision fetch data.")]
Seed = Annotated[int, typer.Option(help="Decides every draw.", min=0)]
Device = Annotated[str, typer.Option(help='"auto" takes a GPU where there is one.')]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bars.")]
ImageSize = Annotated[
    int | None, typer.Option(help="Bring pictures to this height and width: the center, cropped.", min=1)
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what an earlier run left in --out.")]
Broken = Annotated[Unreadable, typer.Option(help="Stop at a broken picture, or skip it.")]
