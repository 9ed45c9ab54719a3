"""The ansatz in networks with published weights, on real images: every layer beside its controls."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from matplotlib.figure import Figure

from ..plots import house_style
from ..plots.style import BLUE, MUTED, VERMILION
from ..report import Section
from .ansatz_in_networks import PUBLISHED, measured_on
from .experiment import Experiment, Finding, Line, Run, Step, Verdict
from .layer_lines import CLEAR, LayerLine, higher, layer_lines, middle, or_dash, read_layers
from .published_networks import SMALL, SUBJECTS, Subject, measured
from .scale import Scale
from .settings import refuse_others

COLUMNS = (
    "layer",
    "d",
    "rows",
    "groups",
    "cosine [95 %]",
    "Pearson",
    "rotated",
    "excess",
    "Pearson, power 1/2",
    "rotated, power 1/2",
    "fresh network",
    "fresh CNFM vs trained",
    "rank of G / rows",
)


@dataclass(frozen=True)
class TableSettings:
    """Which networks, by their titles."""

    networks: tuple[str, ...] = tuple(subject.title for subject in SUBJECTS)


def plan(run: Run[TableSettings]) -> Iterator[Step]:
    """A step for every network."""
    refuse_others("networks", run.settings.networks, PUBLISHED)
    for title in run.settings.networks:
        yield Step({"network": title}, partial(measured_lines, run, PUBLISHED[title]))


def measured_lines(run: Run[TableSettings], subject: Subject) -> Line:
    """Measure one network; its whole report is kept among the files."""
    report = measured(subject, run)
    report.save(run.files / subject.title)
    return {
        "n_images": report.n_images,
        "probes": report.probes,
        "n_outputs": report.n_outputs,
        "layers": layer_lines(report),
    }


def conclude(run: Run[TableSettings], lines: Sequence[Line]) -> Finding:
    """Medians over layers against those of the control and of a fresh network."""
    networks = {line["network"]: read_layers(line["layers"]) for line in lines}
    rows, holds, sections = [], list[bool | None](), []
    for line, (title, layers) in zip(lines, networks.items(), strict=True):
        medians = {name: middle(layers, name) for name in ("pearson", "rotated", "fresh")}
        clear = [layer.clear for layer in layers if layer.clear is not None]
        above, below = (sum(sign * layer.excess > CLEAR for layer in layers) for sign in (1, -1))
        holds += [higher(medians["pearson"], medians["fresh"]), above > len(clear) / 2 if clear else None]
        rows.append([title, len(layers), *map(or_dash, medians.values()), above, below])
        sections.append(
            Section(f"{title}: {measured_on(line)}")
            .prose(summary(layers))
            .figure(
                picture(layers),
                caption="Pearson correlation by layer, its rotation control, and that in a fresh network.",
                alt=f"Correlations of {len(layers)} layers of {title}.",
                name=title.rpartition(",")[0].replace(",", "").replace(" ", "-").lower(),
            )
            .table(COLUMNS, [layer.cells for layer in layers], "What the columns mean is said in docs/cnfa.md.")
        )
    return Finding(
        verdict=Verdict.of(holds),
        ours="; ".join(
            f"{title} {pearson} (control {rotated}, fresh {fresh})" for title, _, pearson, rotated, fresh, *_ in rows
        )
        + ": medians over layers of the Pearson correlation.",
        header=("network", "layers", "Pearson", "rotated", "fresh network", "above the control", "below the control"),
        rows=rows,
        caption="Medians over layers, and how many layers exceed their control, or fall below it, by more than two of its "
        "standard deviations.",
        sections=sections,
        numbers={"medians": rows},
    )


def summary(layers: Sequence[LayerLine]) -> str:
    """Medians over layers, in a sentence."""
    medians = {
        name: or_dash(middle(layers, name)) for name in ("pearson", "rotated", "fresh", "pearson_half", "rotated_half")
    }
    above, below = (sum(sign * layer.excess > CLEAR for layer in layers) for sign in (1, -1))
    return (
        f"{len(layers)} layers: median Pearson correlation {medians['pearson']}, of the rotation control "
        f"{medians['rotated']}, of a fresh network {medians['fresh']}; with the AGOP to the power 1/2 "
        f"{medians['pearson_half']}, of its control {medians['rotated_half']}. "
        f"{sum(layer.pearson > 0.9 for layer in layers)} layers are above 0.9. {above} exceed their control by more than two "
        f"of its standard deviations, {below} fall below it by more than two."
    )


@house_style()
def picture(layers: Sequence[LayerLine]) -> Figure:
    """Correlations by layer."""
    figure = Figure(figsize=(6.4, 2.8), layout="constrained")
    ax = figure.subplots()
    for name, label, color, marker in (
        ("fresh", "fresh network", MUTED, "^"),
        ("rotated", "rotation control", VERMILION, "s"),
        ("pearson", "trained", BLUE, "o"),
    ):
        ax.plot([getattr(layer, name) for layer in layers], marker, color=color, label=label, markersize=4)
    ax.set_xlabel("layer, in forward order")
    ax.set_ylabel("Pearson correlation")
    ax.grid(axis="y")
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.01), ncols=3)
    return figure


EXPERIMENT = Experiment(
    name="cnfa-table",
    title="The ansatz in networks with published weights",
    claim="In trained networks the covariance of filters (CNFM) correlates with the AGOP of patches, in most layers more than "
    "in a fresh network and more than the rotation control, which is what the algebra gives for free.",
    published="correlations above 0.9 in most layers of VGGs and ResNets trained on ImageNet (Fig. 1).",
    settings={
        Scale.SMOKE: TableSettings(tuple(subject.title for subject in SMALL)),
        Scale.LAPTOP: TableSettings(),
        Scale.FULL: TableSettings(),
    },
    minutes={Scale.SMOKE: 0.2, Scale.LAPTOP: 5, Scale.FULL: 5},
    plan=plan,
    conclude=conclude,
    data="a folder with weights/, cifar10/ and imagenet_photos/.",
)
