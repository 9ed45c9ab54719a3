"""What a run keeps says what it was selected on."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import convrfm
from convrfm import ConvRFMClassifier, DeepConvRFMClassifier, datasets
from convrfm.commands import fit
from convrfm.commands.fit import at_the_end, large_model
from convrfm.commands.run_files import write_run
from convrfm.kernels import NTK, vanilla
from convrfm.report import FitRecord, fit_page

pytestmark = pytest.mark.usefixtures("pages_without_pictures")


@pytest.mark.parametrize(
    "model",
    [
        ConvRFMClassifier.from_preset("paper", kernel=NTK(vanilla(1)), n_iterations=1),
        DeepConvRFMClassifier.from_preset("paper", depth=2, n_filters=3, n_iterations=1),
    ],
    ids=["shallow", "deep"],
)
def test_a_selection_set_is_named_in_metrics_report_and_model(
    model: ConvRFMClassifier | DeepConvRFMClassifier, tmp_path: Path
) -> None:
    data, more = (datasets.load("bars", n_train=30, n_test=20, seed=seed) for seed in (0, 1))
    model.fit(data.x_train, data.y_train, selection=(more.x_train, more.y_train))
    layers = write_run(tmp_path, model, data, {"data": "bars"}, "").layers
    assert [layer.best_iteration for layer in layers] == [layer.kept.iteration for layer in model.layers_]
    assert json.loads((tmp_path / "metrics.json").read_text())["selected_on"] == "selection"
    assert "score on the selection set" in (tmp_path / "report.html").read_text()
    history = convrfm.load(tmp_path / "model.safetensors").history_
    assert {line["judge"] for line in history} == {"selection"}


STARTS = {
    "identity": "all directions count alike (M is the identity)",
    "whitening": "Before learning M whitens patches",
}
MODELS = {
    "shallow": ConvRFMClassifier(NTK(vanilla(1)), n_iterations=1, keep="last"),
    "deep": DeepConvRFMClassifier(depth=2, n_filters=3, n_iterations=1, keep="last"),
}


def with_fixed_kernels(record: FitRecord) -> FitRecord:
    return replace(record, layers=[replace(layer, best_iteration=0) for layer in record.layers])


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("kind", MODELS)
def test_what_round_0_compares_patches_by_is_told_and_drawn_as_it_is(kind: str, start: str, tmp_path: Path) -> None:
    data = datasets.load("bars", n_train=30, n_test=20, seed=0)
    model = clone(MODELS[kind]).set_params(initial_metric=start).fit(data.x_train, data.y_train)
    record = write_run(tmp_path, model, data, {"data": "bars"}, "")
    metric = model.layers_[0].rounds[0].feature_matrix.double().numpy()
    patches = np.lib.stride_tricks.sliding_window_view(record.sample_images.astype(float), (3, 3), axis=(2, 3))
    lengths = np.sqrt(np.einsum("ncrsij,ncrskl,ijkl->nrs", patches, patches, metric.reshape(3, 3, 3, 3)))
    np.testing.assert_allclose(record.patch_lengths, lengths, rtol=1e-3)
    for told in (record, with_fixed_kernels(record)):
        page = fit_page(told).render()
        for other, words in STARTS.items():
            assert (words in page) == (other == start)
        alike = [
            words for words in ("M is the identity", "directions of a patch alike", "as they are") if words in page
        ]
        assert start == "identity" or not alike


@pytest.mark.parametrize("kind", MODELS)
def test_patches_of_one_contrast_are_not_said_to_be_compared_as_they_are(kind: str, tmp_path: Path) -> None:
    data = datasets.load("bars", n_train=30, n_test=20, seed=0)
    model = clone(MODELS[kind]).set_params(patch_normalization="contrast").fit(data.x_train, data.y_train)
    record = with_fixed_kernels(write_run(tmp_path, model, data, {"data": "bars"}, ""))
    page = fit_page(record).render()
    assert "patches as they are" not in page
    assert "compared as they are" not in page
    assert page.count("which weighs all directions of a patch alike") == {"shallow": 3, "deep": 1}[kind]


def test_a_ridge_at_the_end_of_the_grid_is_told_of() -> None:
    generator = np.random.default_rng(2)
    x, y = generator.random((60, 1, 8, 8)), generator.integers(0, 2, 60)
    model = ConvRFMClassifier(NTK(vanilla(1)), n_iterations=0).fit(x, y)
    (note,) = at_the_end(model)
    assert "1, is the largest of the 17 that were tried" in note
    assert not at_the_end(model.set_params(ridge=10.0).fit(x, y))
    assert not at_the_end(clone(model).set_params(ridge="loo").fit(x, x.mean((1, 2, 3)) > 0.5))


def test_of_a_large_model_it_is_told_what_its_training_images_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = datasets.load("bars", n_train=600, n_test=20, seed=0)
    model = ConvRFMClassifier(NTK(vanilla(1)), n_iterations=0).fit(data.x_train, data.y_train)
    path = tmp_path / "model.safetensors"
    model.save(path)
    assert large_model(path, model) == []
    monkeypatch.setattr(fit, "LARGE", 1 << 20)
    (told,) = large_model(path, model)
    assert data.x_train.nbytes == 600 * 16 * 32 * 4
    assert f"{path} has 1 MiB, of which the training images take 1 MiB" in told
