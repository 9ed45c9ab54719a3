"""The results as a page of the documentation."""

from collections.abc import Iterable, Sequence
from typing import Any

from convrfm.report.markdown import markdown_table

from . import meter, passes
from .cases import MANY
from .environments import CNN_GP, ROOT
from .tiled import TILE

PAGE = ROOT / "docs" / "benchmarks.md"
HEADER = f"""# Benchmarks

`python -m benchmarks` (or `make bench`) writes this page and `benchmarks/results.json`; `--only NAME` measures some
cases again. Contestants of a case run in processes of their own, all alive at once, and take turns after a warm-up:
seconds are medians over turns, ratios medians of the ratio to convrfm in the same turn, memory the peak above the
interpreter with its imports and inputs. float32, on all cores. The load is the machine's before the case: on a busy
machine every contestant waits for the others' processes, and short calls wait the most. All run with
`OMP_WAIT_POLICY=passive`, without which a second process on the machine slows torch's threads several times. The record
names no machine: the row of Myrtle 5 and the peaks of the roofline are of two cores with AVX-512. Contestants of a case share
their machine, cases that were measured again need not: compare ratios across cases, not seconds.

`kernel` is the NTK of the paper's network of that depth, `metric` the same with a metric M on patches, `nngp` the NNGP;
K(x) is of n images with themselves, K(x, z) with n others. convrfm and the contestants on torch compute K(x) from the
pairs above the diagonal, Neural Tangents does not. `agop` is the AGOP at n images, with as many training images and
10 outputs; `myrtle` is the NTK of Myrtle 5, with pooling; `laplace`, `gaussian` and `matern` (smoothness 1.5) are radial
kernels of 7 x 7 patches, without a metric; `features agop` is of 1,024 random filters of 6 x 6 patches, ReLU and averages over
quarters.

Where a contestant's *share* is below 1, it did that part of the pairs of images (of an AGOP: of the images at which the
gradient is taken), and its seconds and ratio are scaled to the whole; its first call and its memory are not scaled.

* **convrfm**: this library, its default engine.
* **torch-einsum**: the recursion written down in torch in an afternoon (`benchmarks/einsum_baseline.py`): patch products
  by `einsum`, windows by `avg_pool2d`, {TILE} x {TILE} images at a time, which is what stays in cache.
* **torch-cdist**: radial kernels in torch in an afternoon (`benchmarks/work_cdist.py`): `unfold`, `cdist` at as many
  positions at a time as were fastest, gradients in closed form.
* **torch-autograd**: the AGOP of random features by torch's autograd, one backward pass for each output
  (`benchmarks/work_autograd.py`).
* **cnn-gp**: [cambridge-mlg/cnn-gp](https://github.com/cambridge-mlg/cnn-gp) on the same torch, {TILE} x {TILE} images at
  a time, its fastest; it has the NNGP without a metric only. Installed by
  `pip install {CNN_GP}`; the environment variable `CNN_GP` names another source for pip.
* **nt-plain**: Neural Tangents 0.6.5 on jax 0.5.3, jitted and in batches of 100 images by its own `nt.batch` (of 8 for
  Myrtle 5, whose pairs of positions fill the memory); it knows no metric.
* **nt-paper**: the same as the paper uses it: images unfolded q times as large, M^(1/2) multiplied into the patches, a
  first convolution of stride q.
* **nt-best**: the best formulation found inside it: patches as channels of a 1 x 1 convolution; for the AGOP jitted, all
  outputs at once, with the identity as metric.
"""
CASES = """
## Contests

"""
CONTEST_HEADER = ("case", "contestant", "seconds", "times convrfm", "share", "peak MB", "first call, s", "load")
METER = """
## What the meter costs

`--only meter --data FOLDER`; each case runs in a process of its own, with one thread. Seconds are of the processor; memory is
the peak beyond the imported libraries.

"""
PASSES = """
## A report beside the passes through the network

`--only cnfa_cost`: the meter with 4 probes beside 4 forward-backward passes on the same images, random weights, each case in a
process of its own. Without controls: no rotations, intervals or power 1/2, which `rotations=0`, `resamples=0` and
`half_power=False` leave out. A report has all of them. Seconds are of the processor (of the clock in brackets, on whatever
else the machine was doing); memory is the peak beyond that of the passes, weights and covariances of the report included.

"""
PASSES_HEADER = (
    *("network and images", "threads", "4 passes", "without controls / passes", "report / passes", "report, time"),
    *("memory", "asked of the report"),
)
ROOFLINE_HEADER = (
    *("case", "seconds", "engine, GFLOP", "products, GFLOP", "GFLOP/s", "cache, GB", "memory, MB"),
    *("fraction of arithmetic", "of cache", "of memory", "roof"),
)
GROWTH = """
## Growth

convrfm, `metric K(x)`, 3x32x32, medians of turns taken by all sizes alike. The residual is the measured time over the
fitted one, less 1; the fit makes the relative residuals small.
"""
ROOFLINE = """
## Roofline

How far the compiled engine is from what this machine can do. The peaks are measured in the same turns as the cases:
multiply-adds on twelve vectors that never leave the registers; torch's product of 2048 x 2048 matrices; c = a + b in
the first-level cache; and a copy of 256 MB (bytes read and written). Operations and cache traffic are counted by running
the engine's own source on vectors that count (`benchmarks/counted_lanes.py`), not by hand: an addition, multiplication,
division or square root is one operation, comparisons and selections none, and every load and store of a vector moves
its bytes, even where the compiler keeps it in a register. K(x) is charged with each pair once. Operations of matrix
products and convolutions, which torch does, are torch's own count. Memory traffic is that of the operands, each once.

Fractions are the time at the peak over the time taken, for the arithmetic (the engine's operations at the peak of
multiply-adds, torch's at that of matrix products), the cache and the memory; the largest names the roof. Square roots,
divisions, comparisons and sums that nothing multiplies cannot reach the peak of multiply-adds.
"""


def page_of(results: dict[str, dict[str, Any]]) -> str:
    contests = {
        name: result for name, result in results.items() if name not in ("growth", "roofline", "meter", "cnfa_cost")
    }
    page = HEADER + CASES + _contests(contests)
    if "growth" in results:
        page += GROWTH + _growth(results["growth"])
    if "roofline" in results:
        page += ROOFLINE + _roofline(results["roofline"])
    if "meter" in results:
        page += METER + _table(("what", "measured", "asked"), meter.rows(results["meter"]))
    if "cnfa_cost" in results:
        page += PASSES + _table(PASSES_HEADER, passes.rows(results["cnfa_cost"]))
    return page


def _table(header: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    return markdown_table(header, lines) + "\n"


def _contests(results: dict[str, dict[str, Any]]) -> str:
    return _table(
        CONTEST_HEADER,
        [
            (
                *(name, contestant, f"{r['median_seconds']:.3g}", f"{r['median_ratio']:.3g}", f"{r['share']:.3g}"),
                *(f"{r['peak_bytes'] / 1e6:.0f}", f"{r['first_call_seconds']:.3g}", f"{r['load_before']:.1f}"),
            )
            for name, contestants in results.items()
            for contestant, r in contestants.items()
        ],
    )


def _growth(growth: dict[str, Any]) -> str:
    images, depth = growth["images"], growth["depth"]
    (square,), (slope, offset) = images["coefficients"], depth["coefficients"]
    counts = [int(n) for n in images["seconds"]]
    pairs = MANY * (MANY + 1) / 2
    in_images = [
        (n, f"{t:.3g}", f"{t / n**2 * 1e9:.0f}", f"{r:+.0%}")
        for n, t, r in zip(counts, images["seconds"].values(), images["residuals"], strict=True)
    ]
    in_depth = [
        (d, p, f"{t:.3g}", f"{r:+.0%}")
        for (d, t), p, r in zip(depth["seconds"].items(), depth["positions"], depth["residuals"], strict=True)
    ]
    return (
        f"\nDepth 3, against seconds = a n^2: a = {square:.3g}; largest residual {_largest(images['residuals'])}.\n\n"
        + _table(("n", "seconds", "ns per n^2", "residual"), in_images)
        + f"\nn = {MANY}, against seconds = a + b (positions of all layers): a = {offset:.3g}, b = {slope:.3g}, "
        f"{slope / pairs * 1e9:.3g} ns per position and pair of images; largest residual {_largest(depth['residuals'])}.\n\n"
        + _table(("depth", "positions of all layers", "seconds", "residual"), in_depth)
    )


def _largest(residuals: Sequence[float]) -> str:
    return f"{max(map(abs, residuals)):.1%}"


def _roofline(roofline: dict[str, Any]) -> str:
    peaks = roofline["peaks"]
    of = {"arithmetic": "GFLOP/s", "matrix products": "GFLOP/s", "cache": "GB/s", "memory": "GB/s"}
    measured = ("measured", *(f"{peaks[peak] / 1e9:.0f} {unit}" for peak, unit in of.items()))
    cases = [_roof(name, case) for name, case in roofline["cases"].items()]
    return "\n" + _table(("peak", *of), [measured]) + "\n" + _table(ROOFLINE_HEADER, cases)


def _roof(name: str, case: dict[str, Any]) -> Sequence[object]:
    operations = case["engine_operations"] + case["product_operations"]
    return (
        *(name, f"{case['seconds']:.3g}", f"{case['engine_operations'] / 1e9:.3g}"),
        *(f"{case['product_operations'] / 1e9:.3g}", f"{operations / case['seconds'] / 1e9:.0f}"),
        *(f"{case['cache_bytes'] / 1e9:.3g}", f"{case['memory_bytes'] / 1e6:.3g}"),
        *(f"{case['fractions'][bound]:.1%}" for bound in ("arithmetic", "cache", "memory")),
        case["roof"],
    )
