"""The sections on a fit of several layers, each from only what it shows."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from ..estimators.learning.judge import Judge
from ..maths.random_filters import Centering
from ..plots import effective_rank, leading_eigenvectors, plot_feature_maps, plot_layers, plot_rounds, plot_spectra
from ..quantities import counted
from .fit_record import LayerRecord, RoundRecord, Task
from .fit_sections import MOST_SAMPLES, ROUND_0, before_learning, show_eigenvectors
from .headline import measure_name, score_text
from .page import Section
from .scores import HOW_TO_READ, Scores, capitalised, score_columns

CENTERED: Mapping[Centering, str] = {
    "mean": "less their mean",
    "proportional": "less their mean in proportion to their length",
    None: "as they are",
}


def stages_section(stages: Sequence[RoundRecord], task: Task, judge: Judge = Judge.LEAVE_ONE_OUT) -> Section:
    """Scores of the fixed kernel, of one layer, of two, and so on."""
    measure = measure_name(task)
    scores = Scores.of(stages)
    told = scores.held_out if scores.test is None else scores.test
    columns = {
        name: cells for name, cells in score_columns(stages, task, judge).items() if name not in ("Error", "Seconds")
    }
    names = ["fixed kernel", *(counted(number, "layer") for number in range(1, len(stages)))]
    return (
        Section(f"{capitalised(measure)} by layer")
        .prose(
            "Every layer is a kernel machine that could predict by itself: on the images as the random features "
            "of the layers before it show them, with the round that it keeps. The last one predicts."
        )
        .figure(
            plot_rounds(*scores, chosen=None, judge=judge.label, task=task, steps="layers"),
            caption="Scores of the fixed kernel (no layer) and with one layer more each. The dashed line continues the fixed "
            "kernel.",
            alt=f"Line chart of {measure} by the number of layers: "
            + ", ".join(f"{name} {score_text(score, task)}" for name, score in zip(names, told.tolist(), strict=True)),
            name="stages",
        )
        .table(
            ("Model", "Updates", *columns),
            zip(names, [r.iteration for r in stages], *columns.values(), strict=True),
            caption=f"Updates: of the patch metric of the last of these layers, in the round that it keeps. Train, "
            f"{judge.label} and test: {measure}.",
            marked_rows=[len(stages) - 1],
        )
    )


def rounds_of_layers_section(layers: Sequence[LayerRecord], task: Task, judge: Judge = Judge.LEAVE_ONE_OUT) -> Section:
    """Every layer's rounds, and how to read the held-out column."""
    scores = [Scores.of(layer.rounds) for layer in layers]
    measure = measure_name(task)
    rounds = [(layer, record) for layer in layers for record in layer.rounds]
    columns = {
        "Layer": [str(number) for number, layer in enumerate(layers, 1) for _ in layer.rounds],
        "Round": [str(record.iteration) for _, record in rounds],
    }
    columns |= score_columns([record for _, record in rounds], task, judge)
    del columns["Test"], columns["95% interval"]
    kept = ", ".join(f"round {layer.best_iteration} of layer {number}" for number, layer in enumerate(layers, 1))
    return (
        Section("Rounds of every layer")
        .prose(
            "In each layer round 0 is the fixed kernel on the images that arrive there; each later round fits again after one "
            "more update of that layer's patch metric. From the metric of the kept round the filters are drawn that lead to "
            f"the next layer, whose images are their outputs: {_centerings(layers)}."
        )
        .figure(
            plot_layers(
                [s.train for s in scores],
                [s.held_out for s in scores],
                chosen=[layer.best_iteration for layer in layers],
                judge=judge.label,
                task=task,
            ),
            caption="Scores after each update, layer beside layer; bands mark the rounds that are kept.",
            alt=f"Line chart of {measure} by layer and round; kept are {kept}.",
            name="rounds",
        )
        .table(
            tuple(columns),
            zip(*columns.values(), strict=True),
            caption=f"Train and {judge.label}: {measure}. Error: mean squared error by {judge.label}. Kept rounds are marked.",
            marked_rows=[row for row, (layer, record) in enumerate(rounds) if record is layer.kept],
        )
        .note(HOW_TO_READ[judge])
    )


def metrics_section(layers: Sequence[LayerRecord]) -> Section:
    """What the patch metrics respond to: eigenvectors of the first, which sees pixels, and the spectra of all."""
    first = layers[0]
    section = Section("What the layers have learned")
    kept_fixed = [number for number, layer in enumerate(layers, 1) if layer.best_iteration == 0]
    identity = first.first_metric is None
    if kept_fixed:
        known = f"the identity, {ROUND_0[False]}" if identity else "that of round 0"
        section.note(f"No update was kept in layer {', '.join(map(str, kept_fixed))}: there M is {known}.")
    if len(kept_fixed) == len(layers):
        return section
    if first.best_iteration:
        show_eigenvectors(section, first.feature_matrix, first.patch_shape, "the first layer's M")
    ranks = [effective_rank(layer.feature_matrix) for layer in layers]
    return (
        section.prose(
            "Deeper layers compare patches of random features, which cannot be shown as pictures. Their spectra tell how far "
            "they have gone from the identity: the fewer eigenvalues stand above the line, the fewer directions matter."
        )
        .figure(
            plot_spectra([layer.feature_matrix for layer in layers]),
            caption="Eigenvalues of every layer's M, divided by their mean; those that are zero up to rounding are left out. "
            "The dashed line is the identity, the metric of the fixed kernels"
            f"{'' if identity else ' from the second layer on'}: directions above it are stretched, those "
            "below shrunk.",
            alt="Eigenvalues of every layer from large to small on log scales.",
            name="spectrum",
        )
        .table(
            ["Layer", "Patch", "Entries", "Effective rank", "Share of 8 eigenvectors"],
            [
                [
                    number,
                    " x ".join(map(str, layer.patch_shape)),
                    len(layer.feature_matrix),
                    f"{rank:.1f}",
                    f"{leading_eigenvectors(layer.feature_matrix, layer.patch_shape).shares.sum():.1%}",
                ]
                for number, (layer, rank) in enumerate(zip(layers, ranks, strict=True), 1)
            ],
            caption="Patches are channels x rows x columns. The effective rank is (tr M)² / tr(M²); the share is that of the "
            "trace.",
        )
    )


def maps_of_layers_section(
    images: Float[np.ndarray, "m c h w"],
    patch_lengths: Float[np.ndarray, "m rows cols"],
    layers: Sequence[LayerRecord],
) -> Section:
    """Where every layer looks in a few images; at most four are shown."""
    shown = slice(MOST_SAMPLES)
    maps = {"before learning": patch_lengths[shown]}
    maps |= {  # of a first layer that keeps round 0 it would be the same map again
        f"layer {number}": layer.feature_maps[shown]
        for number, layer in enumerate(layers, 1)
        if number > 1 or layer.best_iteration
    }
    return (
        Section("Where the layers look")
        .prose(
            "At every position a map shows the length of the patch there. "
            f"{before_learning(layers[0].first_metric is not None)}; in a layer those directions count most that its M "
            "stretches. From the second layer on, patches are of the random features that arrive there, and cover more of the "
            "image."
        )
        .figure(
            plot_feature_maps(images[shown], maps),
            caption="Sample images, and |M^(1/2) x[u]| at every position u before learning and in every layer. Every panel "
            "has its own color scale, dark for its smallest and bright for its largest value; the range is written below.",
            alt=f"{len(images[shown])} sample images, each with its map before learning and in "
            f"{counted(len(layers), 'layer')}.",
            name="feature_maps",
        )
    )


def _centerings(layers: Sequence[LayerRecord]) -> str:
    return ", ".join(f"{CENTERED[layer.centering]} from layer {number}" for number, layer in enumerate(layers[:-1], 1))
