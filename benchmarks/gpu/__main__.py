"""Everything about one GPU in at most so many seconds, the most valuable first: `python -m benchmarks.gpu`."""

import argparse
import platform
from pathlib import Path

import torch

from .session import Session

PARTS = {
    "correctness": 0.15,
    "speed": 0.25,
    "published": 0.1,
    "cifar": 0.2,
    "meter": 0.1,
    "streaming": 0.05,
    "neural_tangents": 0.1,
    "networks": 0.15,
}  # and their shares of the time


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
    shares = sum(PARTS[name] for name in chosen)
    for name in chosen:
        session.run(name, arguments.seconds * PARTS[name] / shares)
    if device.type == "cuda":
        from .page import write_page  # here: what it needs and does not find must not keep anything from being measured

        write_page([session.lines])


if __name__ == "__main__":
    main()
