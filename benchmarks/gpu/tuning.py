"""Measure block sizes anew: `python -m benchmarks.gpu.tuning`; the engine does so by itself at a card's first use.

Every number of warps is timed for every program and printed at once; the best are kept for the engine.
"""

import argparse
from collections.abc import Iterator

import torch

from convrfm.kernels.engines.cuda.blocks import PROGRAMS, cuts_file, keep_warps
from convrfm.kernels.engines.cuda.tuning import Timing, Trial, fastest, timings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=150.0, help="what is not compiled by then is left out")
    card = torch.cuda.get_device_name()
    warps = fastest(told(timings(Trial(torch.device("cuda")), parser.parse_args().seconds)))
    if warps.keys() == set(PROGRAMS):
        keep_warps(card, warps)
        print(f"kept for {card} in {cuts_file()}: {warps}")


def told(timed: Iterator[Timing]) -> Iterator[Timing]:
    """Each as soon as it is there."""
    for timing in timed:
        print(f"{timing.program}, {timing.warps} warps: {timing.milliseconds:.3f} ms", flush=True)
        yield timing


if __name__ == "__main__":
    main()
