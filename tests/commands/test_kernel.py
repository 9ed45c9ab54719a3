"""`convrfm kernel` writes the matrix that a fit would compute, in the order of the tables beside it."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

import convrfm
from convrfm import datasets, kernels
from convrfm.cli import app
from convrfm.errors import InputError
from convrfm.kernels.kernel_tiles import KernelTiles
from convrfm.storage.tile_store import TileStore

pytestmark = pytest.mark.usefixtures("pages_without_pictures")

pytest.importorskip("zarr")
OF_BARS = ["bars", "--n-train", "10", "--tile", "4", "--quiet"]
AGAINST = [*OF_BARS, "--against", "bars", "--tile", "400"]  # of 1000 images; the last --tile counts
SMALL = [*OF_BARS, "--depth", "1"]
IMAGES = datasets.load("bars", n_train=10, seed=0)
NTK = kernels.NTK(kernels.vanilla(1))


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["kernel", *map(str, arguments)], terminal_width=200)


def matrix(folder: Path) -> torch.Tensor:
    return TileStore.at(folder).rows(slice(None))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_matrix_is_that_of_the_training_images_and_its_table_names_them(tmp_path: Path) -> None:
    result = run(*SMALL, "--out", tmp_path / "K.zarr")
    assert result.exit_code == 0, result.output
    assert "10 x 10 kernel matrix" in result.output
    torch.testing.assert_close(matrix(tmp_path / "K.zarr"), torch.from_numpy(NTK(IMAGES.x_train)), rtol=1e-5, atol=1e-6)
    rows = table(tmp_path / "K.rows.csv")
    assert [row["name"] for row in rows] == list(IMAGES.names_train)
    assert [row["label"] for row in rows] == [str(label) for label in IMAGES.y_train]


def test_what_the_kernel_refuses_leaves_nothing_behind(tmp_path: Path) -> None:
    result = run(*OF_BARS, "--network", "myrtle5", "--image-size", "16", "--out", tmp_path / "K.zarr")
    assert result.exit_code == 2
    assert "too small" in result.output
    assert not list(tmp_path.iterdir())


def test_against_other_images_and_with_what_a_run_learned(tmp_path: Path) -> None:
    model = convrfm.ConvRFMClassifier(NTK, n_iterations=1, keep="last").fit(IMAGES.x_train, IMAGES.y_train)
    model.save(tmp_path / "model", preprocessing=IMAGES.preprocessing)
    result = run(*AGAINST, "--run", tmp_path / "model", "--out", tmp_path / "K.zarr")
    assert result.exit_code == 0, result.output
    others = datasets.load_for_prediction("bars", IMAGES.preprocessing)[0]
    expected = NTK(IMAGES.x_train, others, feature_matrix=model.feature_matrix_)
    torch.testing.assert_close(matrix(tmp_path / "K.zarr"), torch.from_numpy(expected), rtol=1e-5, atol=1e-6)
    assert len(table(tmp_path / "K.columns.csv")) == len(others)


def test_run_again_it_computes_nothing_and_with_other_settings_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*SMALL, "--out", tmp_path / "K.zarr").exit_code == 0
    before, names = matrix(tmp_path / "K.zarr"), (tmp_path / "K.rows.csv").read_bytes()
    monkeypatch.delattr(KernelTiles, "tile")
    assert run(*SMALL, "--out", tmp_path / "K.zarr").exit_code == 0
    result = run(*SMALL, "--seed", "1", "--out", tmp_path / "K.zarr")
    assert result.exit_code == 2
    assert "of other images" in result.output
    assert torch.equal(matrix(tmp_path / "K.zarr"), before)
    assert (tmp_path / "K.rows.csv").read_bytes() == names


def test_a_run_decides_how_its_images_are_made_noise_and_center_too(tmp_path: Path) -> None:
    learn = ["fit", "bars", "--depth", "1", "--iterations", "1", "--n-train", "12", "--n-test", "6", "--no-baselines"]
    fitted = CliRunner().invoke(app, [*learn, "--center", "--sigma", "0.3", "--out", str(tmp_path / "run")])
    assert fitted.exit_code == 0, fitted.output
    model = convrfm.load(tmp_path / "run")
    raw = datasets.load("bars", n_train=10, seed=0, sigma=0.3).x_train
    others = datasets.load_for_prediction("bars", model.preprocessing_, n_test=6, sigma=0.3)[0]
    expected = model.kernel(model.preprocessing_.apply(raw), others, feature_matrix=model.feature_matrix_)
    for number, of_run in enumerate((tmp_path / "run", tmp_path / "run" / "model.safetensors")):
        result = run(*AGAINST, "--run", of_run, "--out", tmp_path / f"K{number}.zarr")
        assert result.exit_code == 0, result.output
        torch.testing.assert_close(
            matrix(tmp_path / f"K{number}.zarr"), torch.from_numpy(expected), rtol=1e-5, atol=1e-6
        )


def test_the_images_of_a_run_are_drawn_by_its_seed(tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((25, 1, 6, 6)).astype(np.float32)
    np.savez(tmp_path / "images.npz", x=x, y=np.arange(25) % 2)
    learn = ["--depth", "1", "--iterations", "0", "--no-baselines", "--seed", "3"]
    for data in ("noisy-digits", str(tmp_path / "images.npz")):
        few = ["--n-train", "12", "--n-test", "4"]
        fitted = CliRunner().invoke(app, ["fit", data, *learn, *few, "--out", str(tmp_path / "run"), "--overwrite"])
        assert fitted.exit_code == 0, fitted.output
        names = {}
        for seed in ("3", "0", "of the run"):
            asked = [] if seed == "of the run" else ["--seed", seed]
            out = tmp_path / f"{Path(data).stem} {seed}.zarr"
            result = run(data, "--n-train", "12", "--run", tmp_path / "run", *asked, "--out", out)
            assert result.exit_code == 0, result.output
            names[seed] = [row["name"] for row in table(out.with_suffix(".rows.csv"))]
        assert names["of the run"] == names["3"] != names["0"]
    spelled_otherwise = f"{tmp_path}/./images.npz"
    result = run(spelled_otherwise, "--n-train", "12", "--run", tmp_path / "run", "--out", tmp_path / "again.zarr")
    assert result.exit_code == 0, result.output
    assert [row["name"] for row in table(tmp_path / "again.rows.csv")] == names["3"]


def test_columns_are_no_rows_where_both_are_drawn_from_one_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[torch.Tensor]()

    def no_tiles(kernel: object, x: torch.Tensor, z: torch.Tensor, *_: object) -> None:
        asked.extend((x, z))
        raise InputError("enough.")

    monkeypatch.setattr("convrfm.commands.kernel.KernelTiles", no_tiles)
    assert "enough." in run("star", "--n-train", "600", "--against", "star", "--out", tmp_path / "K.zarr").output
    rows, columns = ({image.numpy().tobytes() for image in images} for images in asked)
    assert (len(rows), len(columns), len(rows & columns)) == (600, 500, 0)


def test_every_folder_has_tables_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for out in ("../K.train", "../K.test", "../K.zarr", "."):
        result = run(*SMALL, "--out", out)
        assert result.exit_code == 0, result.output
    assert {path.name for path in tmp_path.glob("*.csv")} == {
        f"{of}.rows.csv" for of in ("K.train", "K.test", "K", "here")
    }


def test_before_long_work_the_time_of_what_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the tiles that are not yet there, in a time that is given."""
    monkeypatch.setattr(KernelTiles, "seconds", lambda _, places: 60.0 * len(places))
    assert (
        "6 tiles; those that are missing take 1 KiB of disk, and about 6 min (estimated)"
        in run(*SMALL, "--out", tmp_path / "K.zarr").output
    )
    assert "6 tiles; all of them on disk" in run(*SMALL, "--out", tmp_path / "K.zarr").output
    next(path for path in (tmp_path / "K.zarr").rglob("*") if path.parts[-2:] == ("0", "1")).unlink()
    assert "about 1 min (estimated)" in run(*SMALL, "--out", tmp_path / "K.zarr").output
    monkeypatch.setattr(KernelTiles, "seconds", lambda _, places: 1.0)
    assert "less than a minute (estimated)" in run(*SMALL, "--out", tmp_path / "L.zarr").output


def test_a_run_with_other_images_or_several_layers_is_refused(tmp_path: Path) -> None:
    deep = convrfm.DeepConvRFMClassifier(kernels.vanilla_ntk, depth=2, n_filters=3, n_iterations=0)
    deep.fit(IMAGES.x_train, IMAGES.y_train).save(tmp_path / "deep", preprocessing=IMAGES.preprocessing)
    result = run(*OF_BARS, "--run", tmp_path / "deep", "--out", tmp_path / "K.zarr")
    assert (result.exit_code, "has 2 layers" in result.output) == (2, True)
    model = convrfm.ConvRFMClassifier(NTK, n_iterations=0).fit(IMAGES.x_train, IMAGES.y_train)
    model.save(tmp_path / "model", preprocessing=datasets.Preprocessing(None, 1, 255.0))
    result = run(*OF_BARS, "--run", tmp_path / "model", "--out", tmp_path / "K.zarr")
    said = " ".join(result.output.split())
    assert (
        result.exit_code,
        "was fitted to pictures as they come, 1 channel, values over 255; bars gives" in said,
    ) == (2, True)
    model.save(tmp_path / "arrays")
    assert "does not know how its images were made" in run(*OF_BARS, "--run", tmp_path / "arrays").output
    assert not (tmp_path / "K.zarr").exists()


def test_a_run_whose_features_are_the_values_of_no_kernel_is_refused(tmp_path: Path) -> None:
    model = convrfm.ConvRFMClassifier(NTK, n_iterations=0, solver="features", n_features=8, first_filters="patches")
    for first_filters, code in (("patches", 2), ("gaussian", 0)):
        model.set_params(first_filters=first_filters).fit(IMAGES.x_train, IMAGES.y_train)
        model.save(tmp_path / first_filters, preprocessing=IMAGES.preprocessing)
        result = run(*OF_BARS, "--run", tmp_path / first_filters, "--out", tmp_path / "K.zarr")
        assert result.exit_code == code, result.output
        assert ("values of no kernel" in result.output) == (first_filters == "patches")
        assert (tmp_path / "K.zarr").exists() == (first_filters == "gaussian")


@pytest.mark.parametrize(("solver", "code"), [("features", 2), ("exact", 0)])
def test_of_copies_there_is_no_matrix_and_that_is_said(solver: str, code: int, tmp_path: Path) -> None:
    model = convrfm.ConvRFMClassifier(NTK, n_iterations=0, solver=solver, n_features=8, augment=("flip",))
    model.fit(IMAGES.x_train, IMAGES.y_train).save(tmp_path / "model", preprocessing=IMAGES.preprocessing)
    result = run(*OF_BARS, "--run", tmp_path / "model", "--out", tmp_path / "K.zarr")
    assert result.exit_code == code, result.output
    assert ("averaged over an image and its copies" if code else "without the copies") in result.output
    if not code:
        torch.testing.assert_close(
            matrix(tmp_path / "K.zarr"), torch.from_numpy(NTK(IMAGES.x_train)), rtol=1e-5, atol=1e-6
        )


def test_the_folder_of_a_run_is_no_place_for_a_matrix(tmp_path: Path) -> None:
    model = convrfm.ConvRFMClassifier(NTK, n_iterations=0).fit(IMAGES.x_train, IMAGES.y_train)
    (tmp_path / "run").mkdir()
    model.save(tmp_path / "run" / "model.safetensors", preprocessing=IMAGES.preprocessing)
    result = run(*SMALL, "--out", tmp_path / "run")
    said = " ".join(result.output.split())
    assert result.exit_code == 2
    assert "holds something else than a kernel matrix" in said
    assert "Choose another folder." in said
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["model.safetensors"]


def test_shared_between_workers_it_has_the_same_bits(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    assert run(*SMALL, "--out", tmp_path / "alone.zarr").exit_code == 0
    result = run(*SMALL, "--workers", "1", "--out", tmp_path / "K.zarr")
    assert result.exit_code == 0, result.output
    assert torch.equal(matrix(tmp_path / "K.zarr"), matrix(tmp_path / "alone.zarr"))
    result = run(*SMALL, "--workers", "1", "--scheduler", "tcp://10.0.0.1:8786", "--out", tmp_path / "K.zarr")
    assert (result.exit_code, "Pass one of them" in result.output) == (2, True)


def test_the_network_is_named_as_for_a_fit(tmp_path: Path) -> None:
    for options, architecture in (
        (["--network", "average", "--pool-size", "3"], kernels.vanilla(1, pooling=3)),
        (["--network", "global"], kernels.vanilla(1, pooling="global")),
    ):
        result = run(*SMALL, *options, "--out", tmp_path / options[1])
        assert result.exit_code == 0, result.output
        expected = torch.from_numpy(kernels.NTK(architecture)(IMAGES.x_train))
        torch.testing.assert_close(matrix(tmp_path / options[1]), expected, rtol=1e-5, atol=1e-6)
    refused = run(*SMALL, "--pool-size", "3", "--out", tmp_path / "idle")
    assert "--pool-size changes nothing here" in refused.output
