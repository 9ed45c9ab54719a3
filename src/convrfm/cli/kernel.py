"""`convrfm kernel`: a kernel matrix on disk."""

from pathlib import Path
from typing import Annotated

import typer

from ..commands.choices import RADIAL_KERNELS, KernelName, Network, TilePrecision, Unreadable
from ..commands.terminal import say, worded
from .app import app, defaults_of
from .options import Broken, Data, Device, Download, ImageSize, Quiet, Scheduler, Workers, where_work_is_done


@app.command()
@worded
def kernel(
    data: Data,
    out: Annotated[
        str, typer.Option(help="Folder of the tiles (Zarr), or an address such as s3://bucket/K.zarr.")
    ] = "K.zarr",
    against: Annotated[
        str | None,
        typer.Option(
            help="Images of the columns: as DATA, its test or validation part where it has one; default DATA."
        ),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Take the kernel and the learned metric of this run; default the options below.")
    ] = None,
    kernel: Annotated[
        KernelName, typer.Option(help="ntk and nngp of a network, or a radial one of patches.")
    ] = KernelName.NTK,
    network: Annotated[
        Network,
        typer.Option(
            help="Of ntk and nngp: convolutions alone, averaged over squares of positions (--pool-size), or over all of them; "
            "or Myrtle."
        ),
    ] = Network.VANILLA,
    depth: Annotated[int, typer.Option(help="Convolutions of the network (ntk, nngp).", min=1)] = 3,
    patch_size: Annotated[int, typer.Option(help="Side of the patches.", min=1)] = 3,
    pool_size: Annotated[int, typer.Option(help="Side of the squares of --network average.", min=1)] = 2,
    bandwidth: Annotated[float, typer.Option(help="Scale of the distance between patches (radial kernels).")] = 10.0,
    n_train: Annotated[int | None, typer.Option(help="Training images, drawn by class; default all.", min=1)] = None,
    image_size: ImageSize = None,
    precision: Annotated[
        TilePrecision, typer.Option(help="int16: half the disk, right to 1/65534 of a tile's largest entry.")
    ] = TilePrecision.FLOAT32,
    tile: Annotated[
        int | None, typer.Option(help="Side of the tiles; default 1024, above 65,536 images 4096.", min=1)
    ] = None,
    unreadable: Broken = Unreadable.ERROR,
    download: Download = False,
    seed: Annotated[int | None, typer.Option(help="Decides every draw; default that of the run, or 0.", min=0)] = None,
    device: Device = "auto",
    workers: Workers = None,
    scheduler: Scheduler = None,
    quiet: Quiet = False,
) -> None:
    """Compute the kernel matrix of the training images, tile by tile; interrupted, the same command goes on."""
    parameters = dict(locals())  # the first line, so that it holds the parameters and nothing else
    from ..commands.idle_options import refuse_idle_options
    from ..commands.kernel import KernelSettings
    from ..commands.kernel import kernel as run_kernel

    of_network = run is None and not kernel.is_radial
    refuse_idle_options(
        parameters,
        defaults_of("kernel"),
        {
            "kernel": (run is None, "kernels without --run"),
            "network": (of_network, "--kernel ntk and nngp, without --run"),
            "pool_size": (of_network and network is Network.AVERAGE, "--network average, without --run"),
            "depth": (
                of_network and not network.is_myrtle,
                "--kernel ntk and nngp (Myrtle has its own), without --run",
            ),
            "patch_size": (
                run is None and (kernel.is_radial or not network.is_myrtle),
                "networks but Myrtle and radial kernels, without --run",
            ),
            "bandwidth": (
                run is None and kernel.is_radial,
                f"{RADIAL_KERNELS}, without --run",
            ),
        },
    )
    deciding = {
        name: value for name, value in parameters.items() if name not in ("out", "quiet", "workers", "scheduler")
    }
    settings = KernelSettings(**deciding)
    say(run_kernel(settings, out, quiet=quiet, where=where_work_is_done(workers, scheduler)))
