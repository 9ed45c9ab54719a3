"""The ansatz before and after training (Fig. 7 of the paper): residual networks beside the same networks as they are drawn."""

from collections.abc import Sequence

import numpy as np

from ..plots import plot_correlations
from ..report import Section
from .ansatz_in_networks import WANTED, NetworksSettings, lines_by_network, measured_how, plan
from .experiment import Experiment, Finding, Line, Run, Verdict
from .layer_lines import higher, middle, or_dash
from .published_networks import IMAGENET, SMALL, SUBJECTS
from .scale import Scale

RESIDUAL = [subject.title for subject in (*SUBJECTS, *IMAGENET) if subject.title.startswith("ResNet")]


def conclude(run: Run[NetworksSettings], lines: Sequence[Line]) -> Finding:
    """In how many layers of each network the correlation is higher after training."""
    rows, holds = [], list[bool | None]()
    section = Section("Layer by layer")
    for line, (name, layers) in zip(lines, lines_by_network(lines).items(), strict=True):
        rising = [higher(layer.pearson, layer.fresh) for layer in layers]
        holds += rising
        medians = (or_dash(middle(layers, what)) for what in ("fresh", "pearson"))
        rows.append([name, len(layers), *medians, rising.count(True), measured_how(line)])
        bars = {
            "as drawn": np.array([layer.fresh for layer in layers]),
            "trained": np.array([layer.pearson for layer in layers]),
        }
        section.figure(
            plot_correlations([layer.layer for layer in layers], bars),
            caption=f"{name}: Pearson correlation of CNFM and AGOP by layer.",
            alt=f"Bars of {len(layers)} layers of {name}.",
            name="".join(letter if letter.isalnum() else "-" for letter in name.lower()),
        )
    return Finding(
        verdict=Verdict.of(holds),
        ours=f"the correlation is higher after training in {holds.count(True)} of {len(holds)} layers. Medians: "
        + "; ".join(f"{name} {fresh} as drawn, {trained} trained" for name, _, fresh, trained, *_ in rows)
        + ".",
        header=("network", "layers", "as drawn", "trained", "higher after training", "measured on"),
        rows=rows,
        caption="Medians over layers of the Pearson correlation of CNFM and AGOP, and in how many layers it is higher after "
        "training.",
        sections=[section],
    )


EXPERIMENT = Experiment(
    name="fig7",
    title="The ansatz before and after training",
    claim="In every layer of residual networks the correlation of CNFM and AGOP is higher after training than before.",
    published="lower at initialization than at the end of training in ResNet-18 to 152 on ImageNet (Fig. 7).",
    settings={
        Scale.SMOKE: NetworksSettings(tuple(subject.title for subject in SMALL), n_photographs=8, probes=2),
        Scale.LAPTOP: NetworksSettings(tuple(RESIDUAL[:2]), n_images=64),
        Scale.FULL: NetworksSettings(tuple(RESIDUAL[2:])),
    },
    minutes={Scale.SMOKE: 0.2, Scale.LAPTOP: 3, Scale.FULL: 500},
    plan=plan,
    conclude=conclude,
    data=WANTED,
)
