"""The sections of a fit's report, each from only what it shows."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Integer, Shaped

from ..estimators.learning.judge import Judge
from ..plots import (
    confusion_counts,
    effective_rank,
    leading_eigenvectors,
    plot_confusion,
    plot_eigenvectors,
    plot_feature_maps,
    plot_rounds,
    plot_spectrum,
)
from ..plots.labels import drawable_name
from .fit_record import RoundRecord, Task
from .headline import measure_name, score_text
from .page import Section
from .scores import HOW_TO_READ, Scores, capitalised, score_columns

MOST_SAMPLES = 4
_MOST_CONFUSIONS = 8
ROUND_0 = {
    False: "which weighs all directions of a patch alike",
    True: "whose M whitens patches and has seen no label",
}


def rounds_section(
    rounds: Sequence[RoundRecord],
    best_iteration: int,
    task: Task,
    judge: Judge = Judge.LEAVE_ONE_OUT,
    *,
    whitened: bool = False,
) -> Section:
    """Scores by round, as a picture and as a table, and how to read the held-out column."""
    measure = measure_name(task)
    scores = Scores.of(rounds)
    tested = scores.test is not None
    columns = {"Round": [str(r.iteration) for r in rounds]} | score_columns(rounds, task, judge)
    first, last = (
        score_text(r.test_score if tested else r.held_out_score, task) for r in (rounds[0], rounds[best_iteration])
    )
    return (
        Section(f"{capitalised(measure)} by round")
        .prose(
            f"Round 0 is the fixed kernel, {ROUND_0[whitened]}. Each later round fits again after one more update "
            "of the patch metric M by the average gradient outer product of the fitted predictor."
        )
        .figure(
            plot_rounds(*scores, chosen=best_iteration, judge=judge.label, task=task),
            caption="Scores after each update. The dashed line continues the fixed kernel; the band marks "
            "the chosen round.",
            alt=f"Line chart of {measure} by round. {'Test' if tested else capitalised(judge.label)}: {first} with "
            f"the fixed kernel, {last} at the chosen round {best_iteration}.",
            name="rounds",
        )
        .table(
            tuple(columns),
            zip(*columns.values(), strict=True),
            caption=f"Train, {judge.label} and test: {measure}. Error: mean squared error by {judge.label}. "
            "The chosen round is marked.",
            marked_rows=[best_iteration],
        )
        .note(HOW_TO_READ[judge])
    )


def metric_section(
    feature_matrix: Float[np.ndarray, "d d"],
    patch_shape: tuple[int, int, int],
    first_metric: Float[np.ndarray, "d d"] | None = None,
) -> Section:
    """What the patch metric responds to: its leading eigenvectors, and its spectrum beside that of round 0."""
    d = len(feature_matrix)
    reference = (
        "the identity of the same trace, the metric of the fixed kernel: directions above it are stretched, those below "
        "shrunk"
        if first_metric is None
        else "the metric of the fixed kernel, which whitens patches and has directions of its own"
    )
    section = Section("What the patch metric has learned")
    return show_eigenvectors(section, feature_matrix, patch_shape).figure(
        plot_spectrum(feature_matrix, first_metric=first_metric),
        caption=f"Eigenvalues of M; those that are zero up to rounding are left out. The dashed line is {reference}. "
        "The effective rank is (tr M)² / tr(M²).",
        alt="Eigenvalues of M from large to small on a log scale; the effective rank is "
        f"{effective_rank(feature_matrix):.1f} of {d}.",
        name="spectrum",
    )


def show_eigenvectors(
    section: Section, feature_matrix: Float[np.ndarray, "d d"], patch_shape: tuple[int, int, int], name: str = "M"
) -> Section:
    """Add the leading eigenvectors of a metric on patches of pixels; `name` is what the metric is called."""
    c, q, _ = patch_shape
    d = len(feature_matrix)
    shares = leading_eigenvectors(feature_matrix, patch_shape).shares
    tiled = "" if c == 1 else "; the channels lie beside each other"
    colors = (
        "Red, green and blue are the three channels; zero is mid-gray"
        if c == 3
        else f"Red is positive, blue is negative, white is zero{tiled}"
    )
    return section.prose(
        f"{capitalised(name)} compares patches of {q} by {q} pixels with {c} channel{'s' if c > 1 else ''}: it is a matrix "
        f"of {d} by {d}. Its leading eigenvectors are the patterns in a patch that the prediction "
        f"depends on most. The first {len(shares)} hold {shares.sum():.1%} of its trace."
    ).figure(
        plot_eigenvectors(feature_matrix, patch_shape),
        caption=f"Leading eigenvectors of {name}, each on its own scale. {colors}. The sign of an "
        "eigenvector means nothing: here the largest entry is positive.",
        alt=f"The {len(shares)} leading eigenvectors of {name} as images of {q} by {q} pixels; their shares "
        f"of the trace are {', '.join(f'{share:.1%}' for share in shares)}.",
        name="eigenvectors",
    )


def feature_maps_section(
    images: Float[np.ndarray, "m c h w"],
    before: Float[np.ndarray, "m rows cols"],
    after: Float[np.ndarray, "m rows cols"],
    *,
    whitened: bool = False,
) -> Section:
    """Where the model looks in a few images; at most four are shown."""
    shown = slice(MOST_SAMPLES)
    return (
        Section("Where the model looks")
        .prose(
            f"At every position the map shows the length of the patch there. {before_learning(whitened)}; after learning those "
            "directions count most that M stretches."
        )
        .figure(
            plot_feature_maps(images[shown], {"before learning": before[shown], "after learning": after[shown]}),
            caption="Sample images, and |M^(1/2) x[u]| at every position u before and after learning. Every "
            "panel has its own color scale, dark for its smallest and bright for its largest value; the "
            "range is written below.",
            alt=f"{len(images[shown])} sample images, each with its map before and after learning.",
            name="feature_maps",
        )
    )


def before_learning(whitened: bool) -> str:
    """How M weighs directions at round 0, as a beginning of a sentence."""
    return f"Before learning {'M whitens patches' if whitened else 'all directions count alike (M is the identity)'}"


def confusion_section(
    y_true: Shaped[np.ndarray, " n"], y_pred: Shaped[np.ndarray, " n"], classes: Sequence[object] | np.ndarray
) -> Section:
    """Which classes are taken for which on the test images; the most frequent mistakes by full name."""
    counts = confusion_counts(y_true, y_pred, classes)
    k, n, right = len(counts), len(y_true), int(np.trace(counts))
    legend = ", numbers are counts." if k <= 20 else ". With this many classes the counts are left out."
    section = Section("Mistakes").prose(
        f"Of {n} test images in {k} classes, {right} were classified correctly and {n - right} were not."
    )
    section.figure(
        plot_confusion(counts, classes),
        caption=f"Confusion matrix on the test images. Colors are shares of the true class{legend}{_numbered(classes)}",
        alt=f"Confusion matrix of {k} classes; {right} of {n} images are on the diagonal.",
        name="confusion",
    )
    if k > 2 and right < n:
        section.table(
            ["True class", "Taken for", "Images", "Share of the true class"],
            _frequent_mistakes(counts, classes),
            caption="The most frequent mistakes.",
        )
    return section


def reproduction_section(
    command: str, settings: Mapping[str, object], versions: Mapping[str, str], files: Mapping[str, str]
) -> Section:
    """The command and everything that it depends on, and what the run has left in its folder."""
    section = Section("How to repeat this run").prose("The command:").code(command)
    section.prose("All its settings:").settings(settings)
    section.prose("The versions it ran with:").settings(versions)
    if files:
        section.prose("The files in its folder:").settings(files)
    return section


def _numbered(classes: Sequence[object] | np.ndarray) -> str:
    """Which classes stand as numbers in pictures."""
    numbered = [f"#{i} is {c}" for i, c in enumerate(classes) if drawable_name(c, i) == f"#{i}" != str(c)]
    return f" Names that the font cannot draw stand as numbers: {', '.join(numbered)}." if numbered else ""


def _frequent_mistakes(
    counts: Integer[np.ndarray, "k k"], classes: Sequence[object] | np.ndarray
) -> list[list[object]]:
    mistakes = counts - np.diag(np.diag(counts))
    order = np.argsort(-mistakes, axis=None, kind="stable")[:_MOST_CONFUSIONS]
    pairs = [divmod(int(cell), len(counts)) for cell in order]
    return [
        [classes[i], classes[j], int(mistakes[i, j]), f"{mistakes[i, j] / counts[i].sum():.1%}"]
        for i, j in pairs
        if mistakes[i, j]
    ]
