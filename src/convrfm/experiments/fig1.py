"""The ansatz in trained networks (Fig. 1 of the paper): bars for every layer, and the matrices of the first layer."""

from collections.abc import Sequence

import numpy as np

from ..plots import plot_correlations, plot_matrices
from ..report import Section
from .ansatz_in_networks import WANTED, NetworksSettings, lines_by_network, measured_how, plan
from .experiment import Experiment, Finding, Line, Run, Verdict
from .kept_pictures import seen_again
from .layer_lines import LayerLine, higher, middle, or_dash
from .published_networks import IMAGENET, SMALL, SUBJECTS
from .scale import Scale

HIGH = 0.9
HEADER = (
    *("network", "layers", "trained CNFM and AGOP", "initial and trained CNFM", "higher", f"above {HIGH}"),
    *("rotated", "above the control", "measured on"),
)


def conclude(run: Run[NetworksSettings], lines: Sequence[Line]) -> Finding:
    """In how many layers the CNFM resembles the AGOP more than the initial CNFM, and more than the control does."""
    rows, holds, sections = [], list[bool | None](), []
    for line, (name, layers) in zip(lines, lines_by_network(lines).items(), strict=True):
        moved = [higher(layer.pearson, layer.fresh_cnfm) for layer in layers]
        clear = [layer.clear for layer in layers]
        holds += [*moved, *clear]
        rows.append(
            [
                *(name, len(layers)),
                *(or_dash(middle(layers, what)) for what in ("pearson", "fresh_cnfm")),
                *(moved.count(True), sum(layer.pearson > HIGH for layer in layers)),
                or_dash(middle(layers, "rotated")),
                *(clear.count(True), measured_how(line)),
            ]
        )
        sections.append(section(name, layers, line))
    return Finding(
        verdict=Verdict.of(holds),
        ours="; ".join(
            f"{name}: median {pearson}, above {moved} of the initial CNFM in {higher} and above the control in {clear} of "
            f"{n} layers"
            for name, n, pearson, moved, higher, _, _, clear, _ in rows
        )
        + ".",
        header=HEADER,
        rows=rows,
        caption="Medians over layers of Pearson correlations, and numbers of layers where the first is higher than the second, "
        f"is above {HIGH}, and exceeds the rotation control by more than two of its standard deviations. Independent random "
        "networks have low correlations of their CNFMs too: it is the control that tells what training has done.",
        sections=sections,
    )


def section(name: str, layers: Sequence[LayerLine], line: Line) -> Section:
    """The pictures of one network."""
    file = "".join(letter if letter.isalnum() else "-" for letter in name.lower())
    bars = {
        "trained CNFM and AGOP": np.array([layer.pearson for layer in layers]),
        "initial and trained CNFM": np.array([layer.fresh_cnfm for layer in layers]),
    }
    made = Section(name).figure(
        plot_correlations([layer.layer for layer in layers], bars),
        caption="Pearson correlations by layer, in forward order.",
        alt=f"Bars of {len(layers)} layers of {name}.",
        name=f"{file}-layers",
    )
    if not line["first"]:
        return made.prose("The first layer has several groups, or patches too large to show.")
    return made.figure(
        plot_matrices({what: seen_again(picture) for what, picture in line["first"].items()}),
        caption="The first layer: each matrix scaled to trace 1.",
        alt=f"Matrices of the first layer of {name}, side by side.",
        name=f"{file}-first",
    )


EXPERIMENT = Experiment(
    name="fig1",
    title="The ansatz in trained networks, layer by layer",
    claim="In every layer of trained networks the CNFM correlates with the AGOP, more than with the initial CNFM and more "
    "than in the rotation control, which is what the algebra gives for free.",
    published="Pearson correlations above 0.9 in every layer of AlexNet and VGG-13, high in all VGGs and ResNets, with weights "
    "that are far from their initial ones (Fig. 1).",
    settings={
        Scale.SMOKE: NetworksSettings(tuple(subject.title for subject in SMALL), n_photographs=8, probes=2),
        Scale.LAPTOP: NetworksSettings(
            tuple(subject.title for subject in SUBJECTS), n_images=64, n_photographs=16, probes=4
        ),
        Scale.FULL: NetworksSettings(tuple(subject.title for subject in IMAGENET)),
    },
    minutes={Scale.SMOKE: 0.2, Scale.LAPTOP: 5, Scale.FULL: 600},
    plan=plan,
    conclude=conclude,
    data=WANTED,
)
