"""The results as a page of the documentation."""

from typing import Any

from .environments import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
HEADER = """# Benchmarks

`python -m benchmarks` (or `make bench`) writes this page and `benchmarks/results.json`. Contestants of a case run in
processes of their own, all alive at once, and take turns after a warm-up: seconds are medians over turns, ratios
medians of the ratio to convrfm in the same turn, memory the peak above the interpreter with its imports and the inputs.
float32. An AGOP counts seconds for one image (400 training images, 10 outputs): convrfm takes it at all 400, Neural
Tangents at two of them. `nt` is Neural Tangents 0.6.5 on jax 0.5.3: plain; as the paper uses it (unfolded images,
stride q, metric multiplied into the patches); and the best formulation found inside it (patches as channels of a 1 x 1
convolution; for the AGOP jitted, all outputs at once, with the identity as metric). `torch` is the reference engine.
Kernels are of n images with themselves; `metric` has a metric M. The load is the machine's before the case: on a busy
machine every contestant waits for the others' processes, and short calls wait the most. All run with
`OMP_WAIT_POLICY=passive`, without which a second process on the machine slows torch's threads several times.

| case | contestant | seconds | times convrfm | peak MB | first call, s | load |
|---|---|---|---|---|---|---|
"""


def write_page(results: dict[str, dict[str, Any]]) -> None:
    lines = [
        f"| {name} | {contestant} | {r['median_seconds']:.3g} | {r['median_ratio']:.3g} | "
        f"{r['peak_bytes'] / 1e6:.0f} | {r['first_call_seconds']:.3g} | {r['load_before']:.1f} |"
        for name, contestants in results.items()
        for contestant, r in contestants.items()
    ]
    PAGE.write_text(HEADER + "\n".join(lines) + "\n")
