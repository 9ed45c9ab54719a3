"""CNFM and AGOP on photographs (Fig. 2 of the paper): what each picks out, layer by layer, in networks trained on ImageNet.

The map of a matrix M is |M^(1/2) h[u]| at every position u of the layer's input h. How alike the two maps are stands beside
what the algebra gives for free (the AGOP W^T G W with G turned at random) and beside |h[u]|.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..cnfa import LayerReport, feature_maps, measure
from ..kernels.devices import chosen_device
from ..maths.intervals import above_zero, mean_with_interval
from ..plots import plot_feature_maps
from ..report import Section
from .edge_detectors import correlations, turned
from .experiment import Experiment, Finding, Line, Run, Step, Verdict
from .kept_pictures import kept, seen_all
from .looking_networks import LOOKED
from .photographs import bundled_photographs, photographs
from .published_networks import published_network
from .scale import Scale
from .settings import refuse_others

MAP_SIDE = 56  # pixels
TURNS = 10


@dataclass(frozen=True)
class FeatureSettings:
    """Networks, photographs to measure and compare on, and random-sign probes of the outputs."""

    networks: tuple[str, ...] = ("SqueezeNet 1.1", "MobileNetV2")
    photographs: int = 10
    probes: int = 4


def maps(run: Run[FeatureSettings], name: str) -> Line:
    """How alike the maps are in every layer, and those of two photographs."""
    looked, data = LOOKED[name], Path(run.data or ".")
    with torch.random.fork_rng():
        torch.manual_seed(run.seed)  # torch's initialization takes no generator
        network = published_network(looked.subject, data, download=run.download).eval()
    pixels, shown = (
        looked.scale(255 * x) for x in (photographs(run.data, run.settings.photographs), bundled_photographs())
    )
    report = measure(
        network,
        pixels.split(10),
        layers=looked.layers,
        probes=run.settings.probes,
        head=looked.subject.head,
        generator=torch.Generator().manual_seed(run.seed),
        rotations=0,
        resamples=0,
        device=chosen_device(run.device),
    )
    return {
        "layers": [{"layer": layer.name, **alike(network, pixels, layer)} for layer in report.layers],
        "photographs": [kept(each) for each in bundled_photographs()],
        "cnfm": [[kept(each, MAP_SIDE) for each in feature_maps(network, shown, at, "cnfm")] for at in report.layers],
        "agop": [[kept(each, MAP_SIDE) for each in feature_maps(network, shown, at, "agop")] for at in report.layers],
    }


def alike(network: nn.Module, images: Float[Tensor, "n 3 h w"], layer: LayerReport) -> Line:
    """Correlations over positions, image by image, of the AGOP's map with three others; that of turned G is a mean."""
    identity = torch.eye(layer.filters.shape[-1]).unsqueeze(0)
    of_input = feature_maps(network, images, replace(layer, filters=identity, covariance=identity), "cnfm")
    of_cnfm, of_agop = (feature_maps(network, images, layer, which) for which in ("cnfm", "agop"))
    of_turned = (feature_maps(network, images, rotated(layer, turn), "agop") for turn in range(TURNS))
    return {
        "agop": correlations(of_cnfm, of_agop),
        "turned": np.mean([correlations(of_cnfm, each) for each in of_turned], 0).tolist(),
        "input": correlations(of_agop, of_input),
    }


def rotated(layer: LayerReport, turn: int) -> LayerReport:
    """The layer with the G of every group turned at random, each by a rotation of its own; the spectrum stays."""
    groups = len(layer.covariance)
    covariance = [turned(each.double(), turn * groups + number) for number, each in enumerate(layer.covariance)]
    return replace(layer, covariance=torch.stack(covariance))


def plan(run: Run[FeatureSettings]) -> Iterator[Step]:
    """A step for every network."""
    refuse_others("networks", run.settings.networks, LOOKED)
    for name in run.settings.networks:
        yield Step({"network": name}, partial(maps, run, name))


def conclude(run: Run[FeatureSettings], lines: Sequence[Line]) -> Finding:
    """Whether the CNFM's map is more like the AGOP's than the algebra gives for free."""
    rows, above, told, sections = [], list[bool | None](), [], []
    for line in lines:
        means = []
        for layer in line["layers"]:
            agop, free, plain = (100 * np.array(layer[which]) for which in ("agop", "turned", "input"))
            above.append(above_zero(agop - free))
            means.append(agop.mean())
            cells = (mean_with_interval(agop), mean_with_interval(free), mean_with_interval(plain))
            rows.append([line["network"], layer["layer"], *cells, mean_with_interval(agop - free, signed=True)])
        told.append(f"{line['network']} {', '.join(f'{mean:.0f}' for mean in means)}")
        sections += [_pictures(line, which) for which in ("cnfm", "agop")]
    return Finding(
        verdict=Verdict.of(above),
        ours=f"the correlation of the two maps, times 100, is by layer: {'; '.join(told)}. It is above what the algebra gives "
        f"for free by more than the 95% interval in {above.count(True)} of {len(above)} layers.",
        header=("network", "layer", "CNFM and AGOP", "CNFM and AGOP, G turned", "input and AGOP", "less G turned"),
        rows=rows,
        caption="Correlation over positions, times 100, of two maps of a photograph: means over photographs, of three or more "
        "with 95% intervals. G turned: the AGOP is W^T G W, here with G of the same spectrum in random directions, "
        f"the mean of {TURNS} turns of every photograph. Input: |h[u]|.",
        sections=sections,
    )


def _pictures(line: Line, which: str) -> Section:
    names = [layer["layer"].removeprefix("features.").removesuffix(".expand3x3") for layer in line["layers"]]
    shown = {name: seen_all(each) for name, each in zip(names, line[which], strict=True)}
    return Section(f"{line['network']}: {which.upper()}").figure(
        plot_feature_maps(seen_all(line["photographs"]), shown),
        caption=f"Two photographs that scikit-learn bundles, and |M^(1/2) h[u]| with M the {which.upper()} of some layers of "
        f"{line['network']}, in forward order. Every panel has its own scale.",
        alt=f"Two photographs and their maps in {len(names)} layers.",
        name=f"{line['network']}-{which}".replace(" ", "-").lower(),
    )


EXPERIMENT = Experiment(
    name="fig2",
    title="CNFM and AGOP on photographs, layer by layer",
    claim="In every layer of networks trained on ImageNet, CNFM and AGOP pick out the same parts of photographs, more than the "
    "algebra gives for free.",
    published="Fig. 2 of the paper shows maps of VGG-11 and AlexNet that look alike, without numbers. SqueezeNet and "
    "MobileNetV2 stand in.",
    settings={
        Scale.SMOKE: FeatureSettings(("ResNet-20 as it is drawn",), photographs=2, probes=2),
        Scale.LAPTOP: FeatureSettings(),
        Scale.FULL: FeatureSettings(photographs=250, probes=16),
    },
    minutes={Scale.SMOKE: 0.2, Scale.LAPTOP: 3, Scale.FULL: 40},
    plan=plan,
    conclude=conclude,
    data="a folder with weights/ and imagenet_photos/.",
)
