"""Everything about one GPU in at most so many seconds, the most valuable first: `python -m benchmarks.gpu`."""

import argparse
import platform
from pathlib import Path

import torch

from .cifar import cifar
from .correctness import correctness
from .meter import meter
from .published import published
from .session import Session
from .speed import speed

PARTS = {  # and what share of the time each may take
    "correctness": (correctness, 0.2),
    "speed": (speed, 0.25),
    "published": (published, 0.15),
    "cifar": (cifar, 0.25),
    "meter": (meter, 0.15),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="all parts together")
    parser.add_argument("--data", type=Path, help="a folder with mnist.npz and cifar10; generated images without it")
    parser.add_argument("--out", type=Path, default=Path("benchmarks"), help="the folder of gpu.jsonl")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--tiny", action="store_true", help="sizes for Triton's interpreter")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    arguments.out.mkdir(parents=True, exist_ok=True)
    session = Session(device, arguments.tiny, arguments.data, arguments.out / "gpu.jsonl")
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else f"none ({platform.processor()})"
    session.note({"part": "card", "name": card, "torch": torch.__version__, "cuda": torch.version.cuda})
    chosen = arguments.parts.split(",")
    shares = sum(PARTS[name][1] for name in chosen)
    for name in chosen:
        part, share = PARTS[name]
        session.run(name, part, arguments.seconds * share / shares)


if __name__ == "__main__":
    main()
