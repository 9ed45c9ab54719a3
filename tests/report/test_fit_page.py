from dataclasses import replace

import numpy as np
import pytest

from convrfm.report import FitRecord, RoundRecord, fit_page

CLASSES = ["<b>cat</b>", "dog & $x^", "emu"]


def a_record(channels: int = 1, size: int = 3) -> FitRecord:
    generator = np.random.default_rng(0)
    d = channels * size * size
    a = generator.standard_normal((d, d))
    codes = generator.integers(0, 3, (2, 60))
    names = np.array(CLASSES)
    return FitRecord(
        title="A run",
        task="classification",
        rounds=[
            RoundRecord(0, 1e-3, 1.0, 0.70, 0.40, 0.71, (0.66, 0.75), 1.5),
            RoundRecord(1, 1e-4, 1.0, 0.85, 0.30, 0.83, (0.79, 0.87), 2.5),
            RoundRecord(2, 1e-3, 1.0, 0.84, 0.31, None, None, 2.0),
        ],
        best_iteration=1,
        feature_matrix=a @ a.T,
        patch_shape=(channels, size, size),
        sample_images=generator.standard_normal((5, channels, 8, 10)),
        feature_maps_before=generator.random((5, 6, 8)),
        feature_maps_after=generator.random((5, 6, 8)),
        y_true=names[codes[0]],
        y_pred=names[codes[1]],
        classes=names,
        n_train=300,
        n_test=60,
        selected_on="leave-one-out",
        command="convrfm fit bars --out run --seed 0",
        settings={"ridge": "loo", "seed": 0},
        versions={"convrfm": "0.1.0"},
        notes=["One file was skipped: <i>.png"],
        files={"report.html": "this page"},
    )


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
        "0.0001",
        "One file was skipped: &lt;i&gt;.png",
    ):
        assert words in html


def test_class_names_are_escaped(html: str) -> None:
    assert "&lt;b&gt;cat&lt;/b&gt;" in html
    assert "<b>" not in html


@pytest.mark.parametrize(("channels", "size", "pictures"), [(2, 3, 5), (3, 5, 5)])
def test_every_part_of_the_run_has_its_picture(channels: int, size: int, pictures: int) -> None:
    assert fit_page(a_record(channels, size)).render().count("<img ") == pictures


def test_regression_without_test_images_has_a_page() -> None:
    rounds = [replace(r, test_score=None, test_interval=None) for r in a_record().rounds]
    record = replace(a_record(), task="regression", rounds=rounds, y_true=None, y_pred=None, classes=[], n_test=0)
    html = fit_page(record).render()
    assert "leave-one-out R² rose from 0.700 (fixed kernel) to 0.850" in html
    assert "Mistakes" not in html


def test_the_chosen_round_is_marked_in_the_table(html: str) -> None:
    assert html.count('class="marked"') == 1
    assert '<tr class="marked"><th scope="row" class="number">1</th>' in html
