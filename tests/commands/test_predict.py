"""Predictions of pictures: what is said, what the table holds and what the page shows are the model's own."""

import csv
import re
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import convrfm
from convrfm import ConvRFMClassifier, ConvRFMRegressor, datasets, kernels
from convrfm.cli import app
from convrfm.commands.predict import MOST_SAID, accuracy_sentence

GENERATOR = np.random.default_rng(0)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], terminal_width=200)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name, brightness in (("bright", 200), ("dark", 60), ("middle", 130)):
        (folder / name).mkdir()
        for i in range(6):
            pixels = GENERATOR.integers(brightness - 40, brightness + 40, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def model(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = datasets.load(photos)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    fitted = ConvRFMClassifier(kernels.Laplace(3), n_iterations=1).fit(data.x_train, data.y_train)
    fitted.save(path, preprocessing=data.preprocessing)
    return path


def test_several_pictures_get_their_probabilities_and_one_table(photos: Path, model: Path, tmp_path: Path) -> None:
    pictures = [photos / "bright" / "0.png", photos / "dark" / "0.png"]
    result = run("predict", model, *pictures, "--out", tmp_path / "table.csv")
    assert result.exit_code == 0, result.output
    loaded = convrfm.load(model)
    raw = np.stack([np.asarray(Image.open(p))[None] for p in pictures])
    x = loaded.preprocessing_.apply(raw)
    probabilities, outputs = loaded.predict_proba(x), loaded.decision_function(x)
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [str(p) for p in pictures]
    for row, expected, output, picture in zip(rows, probabilities, outputs, pictures, strict=True):
        assert [float(row[f"p {c}"]) for c in loaded.classes_] == pytest.approx(expected, abs=1e-4)
        order = np.argsort(-output)  # also of those that are all but 0
        said = ", ".join(f"{loaded.classes_[i]} {expected[i]:.1%}" for i in order)
        assert f"{picture}: {said}" in result.output


def test_the_page_does_not_replace_the_table(photos: Path, model: Path, tmp_path: Path) -> None:
    options = ("--out", tmp_path / "one", "--page", tmp_path / "." / "one")
    result = run("predict", model, photos / "bright" / "0.png", *options)
    assert result.exit_code == 2
    assert "must be two files" in result.output
    assert not (tmp_path / "one").exists()


def test_of_many_pictures_the_first_are_told_and_how_many_more_there_are(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    pictures = [photos / "bright" / "0.png"] * 13
    result = run("predict", model, *pictures, "--out", tmp_path / "table.csv")
    assert result.exit_code == 0, result.output
    assert result.output.count(f"{pictures[0]}: ") == MOST_SAID
    assert "3 more pictures in the table alone" in result.output


def test_of_folders_that_the_model_does_not_know_pictures_are_told(photos: Path, model: Path, tmp_path: Path) -> None:
    for name in ("first shift", "second shift"):
        (tmp_path / "new" / name).mkdir(parents=True)
        (tmp_path / "new" / name / "0.png").write_bytes((photos / "dark" / "0.png").read_bytes())
    result = run("predict", model, tmp_path / "new", "--out", tmp_path / "table.csv")
    assert "no accuracy: the model knows none of these labels" in result.output
    assert result.output.count("0.png: ") == 2


def test_classes_that_the_model_does_not_know_are_told_beside_the_accuracy(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    for name in ("dark", "lion"):
        (tmp_path / "new" / name).mkdir(parents=True)
        (tmp_path / "new" / name / "0.png").write_bytes((photos / "dark" / "0.png").read_bytes())
    result = run("predict", model, tmp_path / "new", "--out", tmp_path / "table.csv")
    assert "accuracy: 50.00% of 2 images, of which 1 have labels that the model does not know (lion)" in result.output
    assert "100.00% of the other 1" in result.output


def test_labels_of_a_table_give_the_accuracy(photos: Path, model: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,label\n" + "".join(f"{i}.png,{'dark' if i else 'bright'}\n" for i in range(6)))
    result = run("predict", model, photos / "dark", "--labels", table, "--out", tmp_path / "table.csv")
    assert result.exit_code == 0, result.output
    assert "accuracy: 83.33% of 6 images" in result.output
    page = tmp_path / "page.html"
    table_and_page = ("--out", tmp_path / "again.csv", "--page", page)
    assert run("predict", model, photos / "dark", "--labels", table, *table_and_page).exit_code == 0
    said = page.read_text(encoding="utf-8")
    assert "accuracy: 83.33% of 6 images" in said
    assert (said.count("dark; its label is dark"), said.count("dark; its label is bright")) == (5, 1)


def test_a_picture_in_the_place_of_the_run_is_told(photos: Path, model: Path, tmp_path: Path) -> None:
    result = run("predict", photos / "dark" / "0.png", model, "--out", tmp_path / "table.csv")
    assert result.exit_code == 2
    assert "the run comes first, and then pictures" in result.output


def test_folders_and_pictures_may_be_mixed_and_labels_are_all_or_none(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    result = run("predict", model, photos / "dark", photos / "bright" / "0.png", "--out", tmp_path / "table.csv")
    assert result.exit_code == 0, result.output
    with (tmp_path / "table.csv").open() as file:
        names = [row["name"] for row in csv.DictReader(file)]
    assert names == [*(f"{photos / 'dark'}/{i}.png" for i in range(6)), f"{photos / 'bright' / '0.png'}"]
    twice = run("predict", model, photos, photos, "--out", tmp_path / "twice.csv")
    assert "of 36 images" in twice.output
    mixed = run("predict", model, photos, photos / "dark" / "0.png", "--out", tmp_path / "mixed.csv")
    assert mixed.exit_code == 2
    assert "must have labels all or none" in mixed.output


def test_the_page_shows_every_picture_with_probabilities_and_where_the_model_looks(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    arguments = ["predict", model, photos / "dark", "--out", tmp_path / "table.csv", "--page", tmp_path / "page.html"]
    assert run(*arguments).exit_code == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<h2") == 1 + 6
    assert page.count("where the model looks in it") == 6
    loaded = convrfm.load(model)
    raw = np.asarray(Image.open(photos / "dark" / "3.png"))[None, None]
    likeliest = loaded.predict_proba(loaded.preprocessing_.apply(raw)).max()
    assert f"{likeliest:.1%}" in re.split("<h2", page)[5]
    again = run(*arguments, "--overwrite")
    assert again.exit_code == 0, again.output
    (tmp_path / "table.csv").unlink()
    refused = run(*arguments)
    assert refused.exit_code == 2
    assert "page.html exists already" in refused.output


def rows(path: Path) -> list[tuple[str, ...]]:
    with path.open() as file:
        return [(row["name"], row["true"], row["predicted"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    "data", [["bars", "--sigma", "4"], ["star"], ["noisy-digits", "--sigma", "2"]], ids=lambda data: data[0]
)
def test_generated_data_of_a_run_are_the_test_images_of_the_run(data: list[str], tmp_path: Path) -> None:
    """Of as many training images, at the same noise and by the same seed: no image that it was fitted to."""
    small = ["--kernel", "laplace", "--iterations", "0", "--n-train", "40", "--n-test", "20", "--no-baselines"]
    assert run("fit", *data, *small, "--seed", "3", "--out", tmp_path / "run").exit_code == 0
    again = run("predict", tmp_path / "run", data[0], "--out", tmp_path / "table.csv")
    assert again.exit_code == 0, again.output
    assert rows(tmp_path / "table.csv") == rows(tmp_path / "run" / "predictions.csv")
    other = run("predict", tmp_path / "run", data[0], "--seed", "4", "--out", tmp_path / "other.csv")
    assert rows(tmp_path / "other.csv") != rows(tmp_path / "table.csv")
    assert ("it was fitted to some of these" in other.output) == (data[0] == "noisy-digits")


@pytest.mark.parametrize("start", ["identity", "whitening"])
def test_where_no_metric_was_learned_the_page_says_so_and_shows_none(
    photos: Path, tmp_path: Path, start: Literal["identity", "whitening"]
) -> None:
    data = datasets.load(photos)
    model = ConvRFMClassifier(kernels.Laplace(3), n_iterations=0, initial_metric=start).fit(data.x_train, data.y_train)
    model.save(tmp_path / "model", preprocessing=data.preprocessing)
    result = run(
        "predict", tmp_path / "model", photos / "dark", "--out", tmp_path / "t.csv", "--page", tmp_path / "p.html"
    )
    assert result.exit_code == 0, result.output
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "no metric on patches of pixels was learned" in page
    assert "where the model looks" not in page
    assert page.count("<img ") == 6


def test_a_regressor_has_a_page_without_probabilities(photos: Path, tmp_path: Path) -> None:
    data = datasets.load(photos)
    brightness = data.x_train.mean((1, 2, 3))
    model = ConvRFMRegressor(kernels.Laplace(3), n_iterations=0).fit(data.x_train, brightness)
    model.save(tmp_path / "model", preprocessing=data.preprocessing)
    picture = photos / "dark" / "0.png"
    result = run("predict", tmp_path / "model", picture, "--out", tmp_path / "t.csv", "--page", tmp_path / "p.html")
    assert result.exit_code == 0, result.output
    assert "Probability" not in (tmp_path / "p.html").read_text(encoding="utf-8")


def test_what_is_noted_of_many_pictures_is_noted_once_and_their_page_has_a_short_title(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    wide = [tmp_path / "wide" / f"{i}.png" for i in range(3)]
    wide[0].parent.mkdir()
    for path in wide:
        Image.new("L", (16, 8), 100).save(path)
    page = tmp_path / "page.html"
    given = [photos / "dark" / "0.png", wide[0], photos / "bright", wide[1], wide[2]]
    said = " ".join(
        run("predict", model, *given[:2], *wide[1:], "--out", tmp_path / "t.csv", "--page", page).output.split()
    )
    assert said.count("Cropped at the center") == 1
    assert "3 of 4 pictures" in said
    assert f"<h1>{model.name} on {given[0]} and 3 more</h1>" in page.read_text(encoding="utf-8")
    run("predict", model, *given, "--out", tmp_path / "mixed.csv")
    with (tmp_path / "mixed.csv").open() as file:
        names = [row["name"] for row in csv.DictReader(file)]
    assert names == [*map(str, given[:2]), *(f"{photos / 'bright'}/{i}.png" for i in range(6)), *map(str, wide[1:])]


def test_owners_of_pictures_are_told_how_a_model_is_saved_for_them(photos: Path, model: Path, tmp_path: Path) -> None:
    remedy = "model.save(path, preprocessing=data.preprocessing)"
    convrfm.load(model).save(tmp_path / "with")
    data = datasets.load(photos)
    ConvRFMClassifier(kernels.Laplace(3), n_iterations=0).fit(data.x_train, data.y_train).save(tmp_path / "without")
    refused = run("predict", tmp_path / "without", photos, "--out", tmp_path / "t.csv")
    assert refused.exit_code == 2
    assert remedy in " ".join(refused.output.split())
    np.savez(tmp_path / "floats.npz", x=data.x_test)
    other = run("predict", tmp_path / "with", tmp_path / "floats.npz", "--out", tmp_path / "t.csv")
    assert other.exit_code == 2
    assert "in the type and scale" in other.output
    assert remedy not in " ".join(other.output.split())


SAME = np.array([0, 1, 1, 0])
ALIKE = {
    "integers": SAME,
    "floats": SAME.astype(float),
    "booleans": SAME.astype(bool),
    "texts": SAME.astype(str),
    "texts of floats": SAME.astype(float).astype(str),
    "texts of booleans": SAME.astype(bool).astype(str),
}


@pytest.mark.parametrize("fitted", ["integers", "floats", "booleans"])
@pytest.mark.parametrize("told", ALIKE)
def test_equal_numbers_are_the_same_label_whatever_their_type(fitted: str, told: str) -> None:
    predicted, labels = ALIKE[fitted], ALIKE[told].copy()
    labels[0] = labels[1]
    said = accuracy_sentence(predicted, labels, np.unique(predicted))
    assert said == "accuracy: 75.00% of 4 images"


def test_texts_are_compared_as_they_are_and_other_numbers_are_others() -> None:
    texts = np.array(["1", "1.0"])
    assert accuracy_sentence(texts, texts[::-1], texts) == "accuracy: 0.00% of 2 images"
    for labels in (np.array([2, 3]), np.array(["1_0", "a"]), np.array([0.5, np.inf])):
        assert accuracy_sentence(np.array([10, 1]), labels, np.array([1, 10])).startswith(
            "no accuracy: the model knows"
        )
    large = np.array([2**53, 2**53 + 1])
    assert accuracy_sentence(large, large[::-1], large) == "accuracy: 0.00% of 2 images"


def test_a_model_fitted_on_booleans_knows_integers(tmp_path: Path) -> None:
    x, y = GENERATOR.random((12, 1, 6, 6)), np.arange(12) % 2
    for of_type in (bool, float):
        ConvRFMClassifier(kernels.Laplace(3), n_iterations=0).fit(x, y.astype(of_type)).save(tmp_path / "model")
        np.savez(tmp_path / "data.npz", x=x, y=y)
        result = run("predict", tmp_path / "model", tmp_path / "data.npz", "--out", tmp_path / "t.csv", "--overwrite")
        assert result.exit_code == 0, result.output
        assert re.search(r"accuracy: \d+\.\d\d% of 12 images", result.output)
        right = np.mean(convrfm.load(tmp_path / "model").predict(x).astype(int) == y)
        assert f"accuracy: {right:.2%} of" in result.output


def test_labels_are_those_of_the_model_where_probabilities_are_nearly_equal(tmp_path: Path) -> None:
    """With one picture a class nothing can be told of left-out ones, so that the temperature is high."""
    x = np.random.default_rng(0).standard_normal((3, 1, 6, 6)).astype(np.float32)
    fitted = ConvRFMClassifier(kernels.Laplace(3), n_iterations=0, ridge=1e-3).fit(x, ["a", "b", "c"])
    like_a, like_b = x[:2].astype(np.float64)
    for _ in range(40):
        middle = (like_a + like_b) / 2
        a, b, _ = fitted.decision_function(middle[None].astype(np.float32))[0]
        like_a, like_b = (like_a, middle) if b > a else (middle, like_b)
    picture = like_b.astype(np.float32)[None]
    assert fitted.predict(picture).tolist() == ["b"]
    assert fitted.predict_proba(picture)[0].argmax() == 1
    assert fitted.predict_proba(picture).astype(np.float32)[0].argmax() == 0  # of equal ones the first
    fitted.save(tmp_path / "model.safetensors")
    np.savez(tmp_path / "new.npz", x=picture)
    table = tmp_path / "table.csv"
    result = run("predict", tmp_path / "model.safetensors", tmp_path / "new.npz", "--out", table)
    assert result.exit_code == 0, result.output
    with table.open() as file:
        (row,) = csv.DictReader(file)
    assert row["predicted"] == "b"
