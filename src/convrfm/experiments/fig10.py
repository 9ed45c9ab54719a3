"""ConvRFM and the corresponding CNN (Figs. 3B and 10 of the paper): do their first layers pick out the same?

M is ConvRFM's patch metric; the CNN's matrix is D^T D with D = W - W0, what training added to its first filters. Their
correlation stands beside what a matrix of the same spectrum in random directions would have, and beside that of the
covariance of patches, which knows no label.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..kernels import NTK, vanilla
from ..maths.intervals import above_zero, mean_with_interval, with_intervals
from ..maths.patches import response_lengths
from ..maths.psd import psd_power
from ..maths.similarity import similarity
from ..plots import plot_feature_maps
from ..report import Section
from .corresponding_cnn import trained, untrained
from .edge_detectors import WANTED, correlations, learned_metric, patch_covariance, turned
from .experiment import Experiment, Finding, Line, Run, Step, Verdict
from .kept_pictures import kept, seen_all
from .scale import Scale
from .scaled_images import GENERATED, images
from .small_data.images import LabeledImages

DEPTH = 3
KERNEL = NTK(vanilla(DEPTH))
TURNS = 50
SHOWN = 2
CONVRFM, CNN = "ConvRFM", "CNN"
PAIRS = ("with D^T D", "D^T D turned", "with W^T W", "with W0^T W0", "D^T D with patches")


@dataclass(frozen=True)
class OperatorSettings:
    """Training images of each data set, updates of the metric, epochs of the CNN, and draws."""

    data_sets: tuple[str, ...] = ("bars", "noisy-digits", "CIFAR-10")
    n: int = 200
    updates: int = 2
    agop_samples: int = 60
    epochs: int = 25
    seeds: int = 3


def operators(run: Run[OperatorSettings], name: str, seed: int) -> Line:
    """How the two matrices and their maps of test images correlate, and two images with their maps."""
    train, test = images(name, run.data, run.settings.n, seed)
    metric = learned_metric(train, KERNEL, run.settings.updates, run.settings.agop_samples, run.device)
    initial, learned = first_filters(train, seed, run.settings.epochs, run.device)
    change, after, before = (filters.T @ filters for filters in (learned - initial, learned, initial))
    x = torch.from_numpy(test.x)
    drawn = as_drawn(name, metric, change, after)
    maps = {which: response_lengths(x, filters.float(), KERNEL.window) for which, filters in drawn.items()}
    plain = response_lengths(x, torch.eye(len(metric)), KERNEL.window)
    found = [
        pearson(metric, change),
        float(np.mean([pearson(metric, turned(change, turn)) for turn in range(TURNS)])),
        pearson(metric, after),
        pearson(metric, before),
        pearson(patch_covariance(train.x, KERNEL.window), change),
    ]
    return {
        **dict(zip(PAIRS, found, strict=True)),
        "maps alike": float(np.mean(correlations(maps[CONVRFM], maps[CNN]))),
        "maps alike before learning": float(np.mean(correlations(plain, maps[CNN]))),
        "images": [kept(each[0] if len(each) == 1 else each) for each in x[:SHOWN]],
        "maps": {which: [kept(each) for each in shown[:SHOWN]] for which, shown in maps.items()},
    }


def first_filters(
    train: LabeledImages, seed: int, epochs: int, device: str
) -> tuple[Float[Tensor, "k d"], Float[Tensor, "k d"]]:
    """W0 and W of the paper's network, trained by Adam, in double precision."""
    networks = untrained(train, DEPTH, seed), trained(train, DEPTH, seed, epochs, device).cpu()
    initial, learned = (next(network.parameters()).detach().flatten(1).double() for network in networks)
    return initial, learned


def as_drawn(
    name: str, metric: Float[Tensor, "d d"], change: Float[Tensor, "d d"], after: Float[Tensor, "d d"]
) -> dict[str, Float[Tensor, "d d"]]:
    """What the paper multiplies patches by: M^(1/2) and W of the toy tasks, M and W - W0 of real images."""
    if name in GENERATED:
        return {CONVRFM: psd_power(metric, 0.5), CNN: psd_power(after, 0.5)}
    return {CONVRFM: metric, CNN: change}


def pearson(first: Float[Tensor, "d d"], second: Float[Tensor, "d d"]) -> float:
    """Of the entries."""
    return float(similarity(first, second).pearson)


def plan(run: Run[OperatorSettings]) -> Iterator[Step]:
    """A step for every draw."""
    for seed in range(run.seed, run.seed + run.settings.seeds):
        for name in run.settings.data_sets:
            yield Step({"data_set": name, "seed": seed}, partial(operators, run, name, seed))


def conclude(run: Run[OperatorSettings], lines: Sequence[Line]) -> Finding:
    """Whether the CNN's change is nearer to M than random directions are, and than it is to the covariance of patches."""
    rows, map_rows, above, sections = [], [], list[tuple[bool | None, bool | None]](), []
    for name in run.settings.data_sets:
        mine = [line for line in lines if line["data_set"] == name]
        values = {pair: np.array([line[pair] for line in mine]) for pair in PAIRS}
        gains = [values[PAIRS[0]] - values[other] for other in (PAIRS[1], PAIRS[-1])]
        above.append((above_zero(gains[0]), above_zero(gains[1])))
        rows.append(
            [name, *(_percent(each) for each in values.values()), *(_percent(gain, signed=True) for gain in gains)]
        )
        alike, before = (np.array([line[what] for line in mine]) for what in MAPS_ALIKE)
        map_rows.append([name, _percent(alike), _percent(before), _percent(alike - before, signed=True)])
        sections.append(_pictures(name, mine[0]))
    sections.append(
        Section("How alike the maps are").table(
            ("data set", "learned", "before learning", "difference"),
            map_rows,
            "Correlation over positions, times 100, of ConvRFM's map with the CNN's, and of |x[u]| with the CNN's: means over "
            f"100 test images, then over {run.settings.seeds} draws{with_intervals(run.settings.seeds)}.",
        )
    )
    turned_below, patches_below = (each.count(True) for each in zip(*above, strict=True))
    return Finding(
        verdict=Verdict.of(each for pair in above for each in pair),
        ours=f"by more than its 95% interval the correlation of M with what training added to the CNN's filters is above that "
        f"of random directions on {turned_below} of {len(above)} data sets, and above that of the covariance of patches on "
        f"{patches_below}.",
        header=("data set", *PAIRS, "less turned", "less patches"),
        rows=rows,
        caption="Pearson correlation, times 100, of M with matrices of the CNN's first layer (D = W - W0), and of D^T D with "
        f"the covariance of patches. Turned: of the same spectrum in random directions ({TURNS} turns). Means over "
        f"{run.settings.seeds} draws of {run.settings.n} training images{with_intervals(run.settings.seeds)}.",
        sections=sections,
    )


MAPS_ALIKE = ("maps alike", "maps alike before learning")


def _pictures(name: str, line: Line) -> Section:
    maps: Mapping[str, np.ndarray] = {which: seen_all(each) for which, each in line["maps"].items()}
    shown = seen_all(line["images"])
    of = "|M^(1/2) x[u]| and |W x[u]|" if name in GENERATED else "|M x[u]| and |D^T D x[u]|"
    return Section(f"Side by side: {name}").figure(
        plot_feature_maps(shown if shown.ndim == 4 else shown[:, None], maps),
        caption=f"Test images, {of} at every position u. Every panel has its own scale.",
        alt=f"{len(shown)} images of {name} with their maps by ConvRFM and by the CNN.",
        name=name.lower(),
    )


def _percent(values: Float[np.ndarray, " seeds"], *, signed: bool = False) -> str:
    return mean_with_interval(100 * values, signed=signed)


EXPERIMENT = Experiment(
    name="fig10",
    title="First layers of ConvRFM and of the corresponding CNN",
    claim="ConvRFM's patch metric picks out what the first layer of the corresponding CNN learns to pick out: the two matrices "
    "correlate more than random directions would, and more than the covariance of patches does.",
    published="Figs. 3B and 10 of the paper show maps that look alike, on SVHN, CIFAR-10 and the two toy tasks, without "
    "numbers. GTSRB stands in for SVHN.",
    settings={
        Scale.SMOKE: OperatorSettings(("noisy-digits",), n=30, updates=1, epochs=2, seeds=2),
        Scale.LAPTOP: OperatorSettings(),
        Scale.FULL: OperatorSettings(
            ("bars", "noisy-digits", "GTSRB", "CIFAR-10"), n=1000, updates=5, agop_samples=200, epochs=250
        ),
    },
    minutes={Scale.SMOKE: 0.2, Scale.LAPTOP: 4, Scale.FULL: 300},
    plan=plan,
    conclude=conclude,
    data=WANTED,
)
