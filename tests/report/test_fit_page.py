import base64
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from convrfm.estimators.learning.judge import Judge
from convrfm.plots import effective_rank, plot_thumbnails
from convrfm.report import (
    Baseline,
    CandidateRecord,
    FitRecord,
    LayerRecord,
    Mistake,
    NextStep,
    Page,
    RoundRecord,
    fit_page,
    quality_sections,
)
from convrfm.report.comparison_sections import little_gained
from convrfm.report.markdown import markdown_page
from convrfm.report.quality_sections import baselines_section

CLASSES = ["<b>cat</b>", "dog & $x^", "emu"]


def a_layer(channels: int, size: int, tests: tuple[float | None, ...]) -> LayerRecord:
    generator = np.random.default_rng(channels)
    d = channels * size * size
    a = generator.standard_normal((d, d))
    train_and_held_out = [(1.0, 0.70, 0.40), (1.0, 0.85, 0.30), (1.0, 0.84, 0.31)]
    return LayerRecord(
        rounds=[
            RoundRecord(
                t, 10.0**-t, *train_and_held_out[t], test, None if test is None else (test - 0.04, test + 0.04), 1.5 + t
            )
            for t, test in enumerate(tests)
        ],
        best_iteration=1,
        metric=a @ a.T,
        patch_shape=(channels, size, size),
        feature_maps=generator.random((5, 6, 8)),
    )


def a_record(channels: int = 1, size: int = 3, deeper: tuple[LayerRecord, ...] = ()) -> FitRecord:
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 3, (2, 60))
    names = np.array(CLASSES)
    return FitRecord(
        title="A run",
        task="classification",
        layers=[a_layer(channels, size, (0.71, 0.83, None)), *deeper],
        sample_images=generator.standard_normal((5, channels, 8, 10)),
        patch_lengths=generator.random((5, 6, 8)),
        y_true=names[codes[0]],
        y_pred=names[codes[1]],
        classes=names,
        n_train=300,
        n_test=60,
        judge=Judge.LEAVE_ONE_OUT,
        chosen=True,
        command="convrfm fit bars --out run --seed 0",
        settings={"ridge": "loo", "seed": 0},
        versions={"convrfm": "0.1.0"},
        notes=["One file was skipped: <i>.png"],
        files={"report.html": "this page"},
    )


def a_deep_record() -> FitRecord:
    second = replace(a_layer(4, 3, (None, 0.86)), centering="proportional")
    return a_record(deeper=(second, a_layer(5, 3, (None, 0.91, None))))


@pytest.fixture(scope="module")
def html() -> str:
    return fit_page(a_record()).render()


def test_page_tells_the_result_the_choice_and_how_to_repeat_it(html: str) -> None:
    for words in (
        "rose from 71.0% (fixed kernel) to 83.0%",
        "Round 1 was chosen by its leave-one-out score",
        "Leave-one-out is exact for the fixed kernel",
        "convrfm fit bars --out run --seed 0",
        "report.html",
        "0.1",
        "One file was skipped: &lt;i&gt;.png",
    ):
        assert words in html


def kept_fixed(record: FitRecord, shown: int) -> FitRecord:
    """The same where the first layer keeps the fixed kernel; `shown` is the round of its metric and maps."""
    first, *deeper = record.layers
    rounds = first.rounds if shown else first.rounds[:1]
    return replace(record, layers=[replace(first, rounds=rounds, best_iteration=0, shown_iteration=shown), *deeper])


@pytest.mark.parametrize(
    ("n", "told"), [(300, "images and tested"), (200, "the simple methods on 200 of these 300 alone")]
)
def test_what_simple_methods_were_trained_on_is_told(n: int, told: str) -> None:
    fixed, kept = a_layer(1, 3, (0.7, 0.8)).rounds
    section = baselines_section(
        fixed, kept, [Baseline("chance", 0.4, (0.3, 0.5), n, 1.0)], 300, None, augmented=n < 300
    )
    said = markdown_page(Page("", "", [section]))
    assert told in said
    assert said.count("trained on the same training images") == 1
    assert ("mirrored copies" in said) == (n < 300)


@pytest.mark.parametrize(("score", "told"), [(0.4, False), (0.75, True), (0.95, False)])
def test_what_may_be_chance_beside_simple_methods_is_told(score: float, told: bool) -> None:
    fixed, kept = a_layer(1, 3, (0.7, 0.8)).rounds
    kept = replace(kept, test_interval=(0.72, 0.87))
    section = baselines_section(fixed, kept, [Baseline("forest", score, (0.3, 0.5), 9, 1.0)], 9, None, augmented=False)
    assert ("may be chance" in markdown_page(Page("", "", [section]))) is told


def test_where_nothing_was_gained_the_best_learned_round_is_shown_as_such() -> None:
    html = fit_page(kept_fixed(a_record(), shown=1)).render()
    for words in (
        "Nothing was gained by learning the patch metric",
        "70.0% with the fixed kernel and 85.0% after 1 of 2 updates",
        "test accuracy of round 1, the best learned one",
        "What round 1 had learned",
        "Where round 1 looked",
        "It is not kept",
    ):
        assert words in html
    assert "What the patch metric has learned" not in html
    assert html.count("<img ") == 5


def test_a_metric_that_was_never_updated_is_not_drawn() -> None:
    html = fit_page(kept_fixed(a_record(), shown=0)).render()
    assert "there is no learned metric to show" in html
    assert "igenvector" not in html
    assert html.count("<img ") == 2  # rounds, and which classes are taken for which


def test_a_layer_that_keeps_the_identity_is_said_and_not_drawn() -> None:
    record = kept_fixed(a_deep_record(), shown=0)
    html = fit_page(record).render()
    assert "No update was kept in layer 1: there M is the identity" in html
    assert "Leading eigenvectors of" not in html
    whole = fit_page(a_deep_record())
    assert "No update was kept" not in whole.render()
    none = replace(record, layers=[replace(layer, best_iteration=0) for layer in record.layers])
    assert "Eigenvalues of every layer" not in fit_page(none).render()


def test_models_that_were_compared_and_models_to_try_are_told_with_their_times() -> None:
    record = replace(
        a_record(),
        candidates=[
            CandidateRecord("ntk of vanilla", 0.7, 0.2, [1], 2.0),
            CandidateRecord("ntk of global", 0.85, 0.1, [2], 60.0),
        ],
        chosen_candidate=1,
        next_steps=[NextStep("--deep", "Layer upon layer.", "about 2 min 5 s", "convrfm fit photos --deep")],
    )
    html = fit_page(record).render()
    assert "for all rounds of this model" in html
    marked = html[html.index('<tr class="marked">') :]
    assert "ntk of global" in marked[: marked.index("</tr>")]
    for words in (
        "Models that were compared",
        "What to try next",
        "--deep",
        "about 2 min 5 s",
        "convrfm fit photos --deep",
    ):
        assert words in html


@pytest.mark.parametrize(
    ("held_out", "words"),
    [
        ((0.70, 0.65), "Learning lost (leave-one-out: 70.0% with the fixed kernel, 65.0% after 3 layers)."),
        ((0.70, 0.71), "Learning gained little (leave-one-out: 70.0% with the fixed kernel, 71.0% after 3 layers)."),
        (
            (0.70, 0.70),
            "By what chose, nothing was gained by learning (leave-one-out: 70.0% with the fixed kernel, 70.0% after 3 layers).",
        ),
    ],
)
def test_a_loss_is_not_called_a_gain(held_out: tuple[float, float], words: str) -> None:
    """In the terminal and on the page, in the same words."""
    first, second, last = a_deep_record().layers
    first = replace(first, rounds=[replace(r, held_out_score=held_out[0]) for r in first.rounds])
    last = replace(last, rounds=[replace(r, held_out_score=held_out[1]) for r in last.rounds])
    record = replace(
        a_deep_record(),
        layers=[first, second, last],
        next_steps=[NextStep("--cv 5", "Why.", "about 5 s", "convrfm fit photos --cv 5")],
    )
    assert little_gained(record) == words
    assert words in fit_page(record).render()


def test_class_names_are_escaped(html: str) -> None:
    assert "&lt;b&gt;cat&lt;/b&gt;" in html
    assert "<b>" not in html


@pytest.mark.parametrize(("channels", "size", "pictures"), [(2, 3, 5), (3, 5, 5)])
def test_every_part_of_the_run_has_its_picture(channels: int, size: int, pictures: int) -> None:
    assert fit_page(a_record(channels, size)).render().count("<img ") == pictures


@pytest.mark.parametrize("record", [a_record(), a_deep_record()], ids=["shallow", "deep"])
def test_the_pictures_of_the_page_are_written_as_files(record: FitRecord, tmp_path: Path) -> None:
    page = fit_page(record)
    page.write_pictures(tmp_path)
    names = ["rounds", "eigenvectors", "spectrum", "feature_maps", "confusion"] + ["stages"] * (len(record.layers) > 1)
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.png" for name in names}
    for path in tmp_path.iterdir():
        assert base64.b64encode(path.read_bytes()).decode() in page.render()


def test_regression_without_test_images_has_a_page() -> None:
    record = a_record()
    (layer,) = record.layers
    untested = replace(layer, rounds=[replace(r, test_score=None, test_interval=None) for r in layer.rounds])
    record = replace(record, task="regression", layers=[untested], y_true=None, y_pred=None, classes=[], n_test=0)
    html = fit_page(record).render()
    assert "leave-one-out R² rose from 0.700 (fixed kernel) to 0.850" in html
    assert "Mistakes" not in html


def test_mistakes_are_shown_with_what_they_are_and_what_they_were_taken_for(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def drawing(images: np.ndarray, labels: list[str]) -> Figure:
        drawn.append((images, labels))
        return plot_thumbnails(images, labels)

    monkeypatch.setattr(quality_sections, "plot_thumbnails", drawing)
    images = np.random.default_rng(0).random((2, 1, 4, 4))
    mistakes = [
        Mistake(images[0], "a.png", true="cat", predicted="dog", probability=0.984),
        Mistake(images[1], "b.png", true="猫", predicted="cat", probability=0.5),
    ]
    names = np.array(["cat", "dog", "猫"])
    codes = np.random.default_rng(0).integers(0, 3, (2, 60))
    record = replace(a_record(), mistakes=mistakes, classes=names, y_true=names[codes[0]], y_pred=names[codes[1]])
    html = fit_page(record).render()
    ((shown, labels),) = drawn
    np.testing.assert_array_equal(shown, images)
    assert labels == ["cat\n→ dog 98%", "#2\n→ cat 50%"]  # as beside the confusion matrix
    assert "cannot draw stand as numbers: #2 is 猫." in html
    assert "From the left: a.png, b.png." in html
    assert "2 test images that were misclassified." in html


def test_the_chosen_round_is_marked_in_the_table(html: str) -> None:
    assert html.count('class="marked"') == 1
    assert '<tr class="marked"><th scope="row" class="number">1</th>' in html


def test_several_layers_are_told_stage_by_stage_and_layer_by_layer() -> None:
    record = a_deep_record()
    html = fit_page(record).render()
    for words in (
        "With 3 layers the test accuracy rose from 71.0% (fixed kernel) to 91.0%",
        "Rounds 1, 1 and 1 of the layers were chosen, layer by layer, by their leave-one-out score",
        "fixed kernel 71.0%, 1 layer 83.0%, 2 layers 86.0%, 3 layers 91.0%",
        "whose images are their outputs: as they are from layer 1, less their mean in proportion to their length from layer 2.",
        "4 x 3 x 3",
        f"{effective_rank(record.layers[2].feature_matrix):.1f}",
    ):
        assert words in html
    assert html.count('class="marked"') == 1 + 3  # the last stage, and every layer's kept round
    assert html.count("<img ") == 6


@pytest.mark.parametrize("record", [a_record(), a_deep_record()], ids=["shallow", "deep"])
def test_the_judge_is_named_wherever_its_scores_stand(record: FitRecord) -> None:
    by_folds = fit_page(replace(record, judge=Judge.CROSS_VALIDATION)).render()
    assert "Every fold of the cross-validation learns its own M" in by_folds
    assert "cross-validation score" in by_folds
    assert "eave-one-out" not in by_folds
    last = fit_page(replace(record, chosen=False)).render()
    assert "no round was chosen" in last


def test_leave_one_out_under_the_fixed_kernel_is_not_said_to_have_seen_labels() -> None:
    """Where folds judge and keep round 0."""
    for record, seen in ((a_record(), True), (kept_fixed(a_record(), shown=1), False)):
        first = record.layers[0]
        layer = replace(first, rounds=[replace(r, left_out_score=0.9) for r in first.rounds])
        html = fit_page(replace(record, layers=[layer], judge=Judge.CROSS_VALIDATION)).render()
        assert "points more than cross-validation: it chose nothing" in html
        assert ("whose M has seen every label" in html) is seen


def test_a_held_out_score_is_not_called_a_test_score() -> None:
    """Of a deep model of one layer only the fixed kernel and the kept round are scored on test images."""
    record = kept_fixed(replace(a_record(), layers=[a_layer(1, 3, (0.71, None, None))]), shown=1)
    html = fit_page(record).render()
    assert "leave-one-out accuracy of round 1, the best learned one" in html
    assert "test accuracy of round 1" not in html
