"""What was found on cards, as a page of the documentation: `python -m benchmarks.gpu.page RUN.jsonl ...`."""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from convrfm.report.markdown import markdown_table
from convrfm.storage.atomic import write_json

from .session import Line
from .speed import BACKWARD, FORWARD

ROOT = Path(__file__).parents[2]
PAGE, RECORD = ROOT / "docs" / "gpu.md", ROOT / "benchmarks" / "gpu.json"
HEADER = """# On a GPU

`python -m benchmarks.gpu --data FOLDER` measures all of this in ten minutes, writes every line down as soon as it is known, and
ends with this page and `benchmarks/gpu.json`; FOLDER holds `mnist.npz` and CIFAR-10. `make gpu-check` does it on generated
images, whose accuracies say nothing. The same script runs at tiny sizes under Triton's interpreter in the test suite. Seconds
are of calls as users make them; the first one, which compiles, does not count. `python -m benchmarks.gpu.page` makes the page
from several runs.

Measured natively: all figures below, on the cards that they name. Not measured: other cards, Neural Tangents on the same card
(no JAX with it was at hand there), and what else says so below. Lines of the H100 are of one run of four minutes; those of the
H200 are older, where a remark says so.

At a card's first use the engine measures for at most 20 seconds with how many warps each of its strip programs is fastest, and
keeps that by the card's name in `cuda_blocks.json`, in the user's cache folder. `CONVRFM_CACHE` names another folder,
`CONVRFM_TUNING=off` leaves the 4 warps that serve an H100 and an H200 (there no other number that was tried was more than 4%
faster), and `python -m benchmarks.gpu.tuning` measures anew. One thread computes one pair of images whatever the number of
warps: under Triton's interpreter results keep their bits, and a run on a card says under "Agreement" whether they do there. The
rows of strips, which decide in which order sums are taken, are the same for all cards. On an H100 it chose 1, 2 and 8 warps
(forward, backward, between runs); how long it took, and what that gains, was not written down.

"""
SECTIONS = {
    "correctness": """
## Agreement

The cuda engine in float32 against the reference engine in float64 on the same card, as the norm of the difference over the
norm of the result: kernels without and with a metric M, K(x) of x with itself and its diagonal, gradients, the AGOP and its
estimate from probes. The images hold zero patches, equal images and (kernels) nearly equal ones; M has not full rank. Lines
named "golden" are against values of Neural Tangents. Sums are accumulated in float32. TF32 is off unless
`torch.backends.cuda.matmul.allow_tf32` is set: it rounds what goes through products of matrices, patches for the first
covariance and adjoints for the gradients, to ten bits, and costs the AGOP three digits.

Lines of the H200 are older than the present program of adjoints; those of the H100 are of the present one.

Random features on the H100 against the CPU, by a script that no command repeats: 400 images of GTSRB, 256 filters averaged over
quarters. Without an update no probability differs by more than 0.0011. After one, M differs by 8e-4 of its norm; leave-one-out
took another ridge there (0.0032, 0.001 on the CPU), so that probabilities differ by up to 0.39.
Folds took the same ridge and round on both, and no probability differs by more than 0.0034.

The AGOP of random features there, by another such script (images of 3x32x32, 6 x 6 patches, averages over quarters): from
slopes and from gradients it is that of the CPU to 4e-7 of its norm. With 1,024 filters an image takes 0.16 ms from slopes
and 0.14 from gradients with 10 outputs, 0.23 and 0.50 with 43; with 4,096 filters 1.5 and 0.53, 1.8 and 2.0. The rule that
chooses is the CPU's; here it errs by a tenth.
""",
    "speed": f"""
## Speed and memory

*metric* is K(x) under a metric M, *kernel* without one, *agop* the AGOP at n images with as many training images and 10
outputs. Operations are what a pair of images needs, each activation once: {FORWARD} additions, multiplications and roots for
an activation with its window, {BACKWARD} more for its adjoint, and products of patches; they stand beside the card's peak in
a float32 product of large matrices. Bytes are those that the programs must write and read; they stand beside a copy's peak.
An AGOP of at most 8192 training images, whose gradients fit the memory budget, walks half of the pairs forward and backward,
since a pair serves both images; all are counted here, and those of the H200 were measured before.
Networks with pooling, 100 x 100 pairs of which half mirror the others, stand beside 20 x 20 pairs of the reference engine.
""",
    "published": """
## The published noisy-MNIST run

`convrfm reproduce noisy-mnist --scale full`, from files of digits to its page: 4000 training and 4000 test images, four
rounds.
""",
    "cifar": """
## CIFAR-10

The flat NTK of depth 3. The kernel matrix of all 50,000 images is timed on random ones, since its time does not depend on
them; the accuracy is of a fit with ridge 0.001 to as many images as were at hand, with the identity and after one update of M.
The 50,000 and 10,000 images of the H100 went there as JPEG pictures of quality 89, and so did those that SimpleNet was
trained on.
""",
    "meter": """
## The meter

ResNet-18 at random weights, all layers, 16 random-sign probes of its 1000 outputs, with intervals and controls.
""",
    "streaming": """
## A kernel matrix without room on the card

It goes to the memory of the CPU tile by tile, over two pinned buffers and a stream of its own, while the next tile is computed.
It has the bits of the matrix that stays. Beside it: that one, and how many entries differ.
""",
    "neural_tangents": """
## Neural Tangents beside

On the same card in a process of its own, where a JAX with it can be imported: the plain kernel, the kernel with a metric as
the paper has it (unfolded patches), and in the best formulation found inside it, in full single precision. Times of a share of
rows and columns (kernels), or of images at which gradients are taken (AGOPs), are scaled to the whole. Beside: this library's.
""",
    "networks": """
## Training SimpleNet

At the paper's size (Fig. 8) by its Adadelta, in float32 (torch lets convolutions round to TF32), its 700 epochs shrunk to as
many as fit; a tenth of the images chooses the epoch that is kept. Then the meter: medians over its convolutions of the Pearson
correlations of CNFM and AGOP, of the rotation control, of both in the initial network, and of initial and trained CNFM.
""",
}
WHERE = """
## Where the time goes

By `python -m benchmarks.gpu.profile` on the H200, n = 4000, 1x42x42, depth 3. K(x) takes 119 ms: `forward_strips` 83 ms, the
products for the first covariance 31 ms, which write 64 GB at 2 TB/s. The AGOP takes 1.13 s: `backward_strips` 0.53 s,
`forward_strips` 0.24 s, products 0.32 s; its fields do not fit the chip, and the card's memory is what it waits for. (That was
before a pair of training images served both, which halves the work of the two programs.)

A third of the peak is reached at 3x32x32, depths 1 and 3, with 8000 images; at 1x42x42 it is 28%, and at depth 5, which is
walked in two runs with S and T in memory between them, 25%. What holds `forward_strips` back (36% of the peak at 1x42x42) is
the number of instructions, not memory: an activation with its window takes 55 of them, 16 of which are multiply-adds, the only
ones that count twice in the peak, and at the edges of strips every fifth activation is computed again; each scheduler of the
card issues 1.6 a nanosecond, at a clock below 2 GHz.

Of networks with pooling (100 images of 3x32x32, H100, by a script that no command repeats) five convolutions and global average
pooling take 0.48 s, three 0.36 s. A program, removed since, that walked along diagonals of pairs of positions, whose windows
overlap in the cache, took 0.50 and 0.38 s: the sums over windows are not what these wait for.
"""
UNITS = (("arithmetic", "TFLOP/s"), ("memory", "TB/s"))
LEFT_OUT = ("part", "operations", "bytes")  # in the record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "runs", type=Path, nargs="+", help="files of lines; of a card's lines with one name the last counts"
    )
    write_page(parser.parse_args().runs)


def write_page(runs: Sequence[Path]) -> None:
    """The record of all lines, each with its card, and the page."""
    found: dict[tuple[str, str, str], Line] = {}
    for run in runs:
        card = ""
        for line in map(json.loads, run.read_text().splitlines()):
            card = line["name"] if line["part"] == "card" else card
            found[card, line["part"], line["name"]] = {"card": card, **line}
    lines = list(found.values())
    write_json(RECORD, lines)
    PAGE.write_text(page(lines))


def page(lines: Iterable[Line]) -> str:
    """As Markdown."""
    by_part: dict[str, list[Line]] = {}
    for line in lines:
        kind = "peaks" if line["name"] == "peaks" else line["part"]
        if line["name"] != "seconds":
            by_part.setdefault(kind, []).append(line)
    peaks = {line["card"]: line for line in by_part.get("peaks", [])}
    text = HEADER + _cards(by_part["card"], peaks)
    for part, section in SECTIONS.items():
        text += (
            section
            + "\n"
            + (_table(by_part[part]) if part in by_part else "Not measured yet: this waits for a card.\n")
        )
        text += WHERE if part == "speed" else ""
    return text


def _cards(cards: Sequence[Line], peaks: dict[str, Line]) -> str:
    rows = []
    for card in cards:
        measured = peaks.get(card["name"], {})
        told = [f"{measured[kind] / 1e12:.3g} {unit}" if measured else "" for kind, unit in UNITS]
        rows.append([card["name"], card["torch"], card["cuda"], *told, card.get("remark", "")])
    header = ("card", "torch", "CUDA", "peak of float32 products", "peak of a copy", "remark")
    return markdown_table(header, rows) + "\n"


def _table(lines: Sequence[Line]) -> str:
    """A row for each line, a column for each name that any of them tells."""
    names = [name for name in dict.fromkeys(name for line in lines for name in line) if name not in LEFT_OUT]
    names = ["name", *(name for name in names if name not in ("name", "card")), "card"]
    header = ["what", *(name.replace("_", " ").replace(" gb", ", GB") for name in names[1:])]
    return markdown_table(header, [[_shown(name, line.get(name)) for name in names] for line in lines]) + "\n"


def _shown(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " to ".join(_shown(name, entry) for entry in value)
    if name == "card":
        return str(value).removeprefix("NVIDIA ").split()[0]
    if not isinstance(value, float):
        return str(value)
    if name.startswith("of_") or "accuracy" in name or "interval" in name:
        return f"{value:.1%}"
    return f"{value:.1e}" if value < 1e-3 else f"{value:.3g}"


if __name__ == "__main__":
    main()
