"""Features layer by layer (Fig. 4 of the paper): Deep ConvRFM and the corresponding CNN on the same images.

In each layer Deep ConvRFM shows |M h[u]| of the images h that arrive there, and the CNN |D^T D h[u]| of those that arrive
in it, with D = W - W0. How alike the two maps are stands beside how alike they are before M is learned.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..estimators import DeepConvRFMClassifier
from ..maths.intervals import above_zero, mean_with_interval, with_intervals
from ..maths.patches import response_lengths
from ..maths.windows import Window
from ..plots import plot_feature_maps
from ..report import Section
from .corresponding_cnn import trained, untrained
from .edge_detectors import correlations
from .experiment import Experiment, Finding, Line, Run, Step, Verdict
from .four_methods import deep_model
from .kept_pictures import kept, seen_all
from .scale import Scale
from .scaled_images import images
from .small_data.images import WANTED

WINDOW = Window(3)
SHOWN = 2

Maps = list[Float[Tensor, "n rows cols"]]


@dataclass(frozen=True)
class LayerSettings:
    """Training images of each data set, layers with their filters and updates, epochs of the CNN, and draws."""

    data_sets: tuple[str, ...] = ("noisy-digits", "GTSRB")
    n: int = 100
    depth: int = 3
    n_filters: int = 32
    n_iterations: int = 1
    epochs: int = 40
    seeds: int = 3


def features(run: Run[LayerSettings], name: str, seed: int) -> Line:
    """How alike the maps of test images are in every layer, and two images with theirs."""
    settings = run.settings
    train, test = images(name, run.data, settings.n, seed)
    sizes = {"depth": settings.depth, "n_filters": settings.n_filters, "n_iterations": settings.n_iterations}
    model = deep_model(train, seed, keep="last", device=run.device, **sizes)
    networks = (
        untrained(train, settings.depth, seed),
        trained(train, settings.depth, seed, settings.epochs, run.device).cpu(),
    )
    x = torch.from_numpy(test.x)
    deep, before, of_cnn = maps_of_model(model, x), maps_before_learning(model, x), maps_of_network(*networks, x)
    return {
        "alike": [float(np.mean(correlations(*each))) for each in zip(deep, of_cnn, strict=True)],
        "before learning": [float(np.mean(correlations(*each))) for each in zip(before, of_cnn, strict=True)],
        "images": [kept(each[0] if len(each) == 1 else each) for each in x[:SHOWN]],
        "ConvRFM": [[kept(each) for each in maps[:SHOWN]] for maps in deep],
        "CNN": [[kept(each) for each in maps[:SHOWN]] for maps in of_cnn],
    }


def arriving(model: DeepConvRFMClassifier, x: Float[Tensor, "n c h w"]) -> list[Float[Tensor, "n k rows cols"]]:
    """Images as they arrive in every layer of a fitted model."""
    reached = [x]
    for layer in model.fitted_.features:
        reached.append(layer(reached[-1]))
    return reached


def maps_of_model(model: DeepConvRFMClassifier, x: Float[Tensor, "n c h w"]) -> Maps:
    """|M h[u]| in every layer."""
    metrics = [layer.kept.feature_matrix for layer in model.layers_]
    return [response_lengths(h, metric, WINDOW) for h, metric in zip(arriving(model, x), metrics, strict=True)]


def maps_before_learning(model: DeepConvRFMClassifier, x: Float[Tensor, "n c h w"]) -> Maps:
    """|h[u]| in every layer."""
    return [response_lengths(h, torch.eye(h.shape[1] * WINDOW.size**2), WINDOW) for h in arriving(model, x)]


@torch.no_grad()
def maps_of_network(initial: nn.Module, network: nn.Module, x: Float[Tensor, "n c h w"]) -> Maps:
    """|D^T D h[u]| in every convolution, with D = W - W0."""
    maps, h = list[Tensor](), x
    for before, layer in zip(initial.children(), network.children(), strict=True):
        if isinstance(layer, nn.Conv2d) and isinstance(before, nn.Conv2d):
            change = (layer.weight - before.weight).flatten(1)
            maps.append(response_lengths(h, change.T @ change, WINDOW))
        h = layer(h)
    return maps


def plan(run: Run[LayerSettings]) -> Iterator[Step]:
    """A step for every draw."""
    for seed in range(run.seed, run.seed + run.settings.seeds):
        for name in run.settings.data_sets:
            yield Step({"data_set": name, "seed": seed}, partial(features, run, name, seed))


def conclude(run: Run[LayerSettings], lines: Sequence[Line]) -> Finding:
    """Whether learning M makes the maps of a layer more like those of the CNN."""
    rows, nearer, told, sections = [], list[bool | None](), [], []
    for name in run.settings.data_sets:
        mine = [line for line in lines if line["data_set"] == name]
        alike, before = (100 * np.array([line[what] for line in mine]).T for what in ("alike", "before learning"))
        gains = alike - before
        nearer += [above_zero(gain) for gain in gains]
        told.append(f"{name} {', '.join(f'{each.mean():.0f}' for each in alike)}")
        for number, values in enumerate(zip(alike, before, gains, strict=True), 1):
            learned, plain, gain = values
            cells = (mean_with_interval(learned), mean_with_interval(plain), mean_with_interval(gain, signed=True))
            rows.append([name, number, *cells])
        sections.append(_pictures(name, mine[0]))
    return Finding(
        verdict=Verdict.of(nearer),
        ours=f"the correlation of the two maps, times 100, is by layer: {'; '.join(told)}. It is above that before learning by "
        f"more than the 95% interval in {nearer.count(True)} of {len(nearer)} layers.",
        header=("data set", "layer", "alike", "before learning", "gain"),
        rows=rows,
        caption="Correlation over positions, times 100, of Deep ConvRFM's map with the CNN's; before learning: of |h[u]|. "
        f"Means over 100 test images, then over {run.settings.seeds} draws of {run.settings.n} training "
        f"images{with_intervals(run.settings.seeds)}.",
        sections=sections,
    )


def _pictures(name: str, line: Line) -> Section:
    maps = {
        f"{short} {number}": seen_all(each)
        for whose, short in (("ConvRFM", "RFM"), ("CNN", "CNN"))
        for number, each in enumerate(line[whose], 1)
    }
    shown = seen_all(line["images"])
    return Section(f"Layer by layer: {name}").figure(
        plot_feature_maps(shown if shown.ndim == 4 else shown[:, None], maps),
        caption="Test images, |M h[u]| in every layer of Deep ConvRFM (RFM), and |D^T D h[u]| in every layer of the CNN. Every "
        "panel has its own scale.",
        alt=f"{len(shown)} images of {name} with a map for every layer of both.",
        name=name.lower(),
    )


EXPERIMENT = Experiment(
    name="fig4",
    title="Features layer by layer",
    claim="In every layer Deep ConvRFM's metric shows images as the corresponding CNN's filters do: its maps are more like the "
    "CNN's than they are before the metric is learned.",
    published="Fig. 4 of the paper shows maps that look alike, on SVHN and noisy digits, without numbers. GTSRB stands in for "
    "SVHN.",
    settings={
        Scale.SMOKE: LayerSettings(("noisy-digits",), n=30, depth=2, n_filters=4, epochs=2, seeds=2),
        Scale.LAPTOP: LayerSettings(),
        Scale.FULL: LayerSettings(n=1000, n_filters=64, n_iterations=5, epochs=250),
    },
    minutes={Scale.SMOKE: 0.2, Scale.LAPTOP: 5, Scale.FULL: 750},
    plan=plan,
    conclude=conclude,
    data=WANTED,
)
