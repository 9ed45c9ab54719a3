"""The meter with 4 probes beside four forward-backward passes on the same images: a line of JSON, in a process of its own.

They take turns, and the medians count.

python -m benchmarks.work_passes NETWORK SIZE IMAGES THREADS
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from statistics import median

import torch
from torch import nn

from benchmarks.process import peak_bytes
from convrfm import cnfa

if not torch.cuda.is_available():  # torchvision's wheel needs CUDA for operators that no case calls
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from torchvision import models

PROBES = 4
TURNS = 3


def vit_tiny(size: int) -> nn.Module:
    """The tiny vision transformer with patches of 16 x 16; its head, which torchvision starts at zero, is random."""
    network = models.VisionTransformer(size, patch_size=16, num_layers=12, num_heads=3, hidden_dim=192, mlp_dim=768)
    nn.init.normal_(network.heads[0].weight, std=0.02)
    return network


def seconds(run: Callable[[], object]) -> tuple[float, float]:
    """Of the processor, and of the clock."""
    processor, clock = time.process_time(), time.perf_counter()
    run()
    return time.process_time() - processor, time.perf_counter() - clock


def in_turns(cases: Mapping[str, Callable[[], object]]) -> dict[str, tuple[float, float]]:
    """Medians of the seconds of each case."""
    turns = [{name: seconds(run) for name, run in cases.items()} for _ in range(TURNS)]
    return {name: tuple(map(median, zip(*(turn[name] for turn in turns), strict=True))) for name in cases}


def main(name: str, size: int, n_images: int, threads: int) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = (vit_tiny(size) if name == "vit_tiny" else getattr(models, name)()).eval()
    images = torch.randn(n_images, 3, size, size)
    cnfa.measure(nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(8, 2)), torch.randn(2, 3, 4, 4))  # warm

    def passes() -> None:
        for _ in range(PROBES):
            outputs = network(images)
            outputs.backward(torch.randn_like(outputs))

    def without_controls() -> None:
        cnfa.measure(network, images, probes=PROBES, rotations=0, resamples=0, half_power=False)

    def report() -> None:
        cnfa.measure(network, images, probes=PROBES)

    passes()
    before = peak_bytes()
    found = in_turns({"passes": passes, "without_controls": without_controls, "report": report})
    print(json.dumps({**found, "peak_bytes": peak_bytes() - before}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
