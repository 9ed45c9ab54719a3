"""Inputs as nobody should send them, each made from a number; what may come of them: a worded error, or the right values."""

import io
import json
import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

import convrfm
from convrfm import ConvRFMClassifier, cnfa, datasets, kernels
from convrfm.datasets import Preprocessing, check_images, check_labels
from convrfm.datasets.pictures import read_picture
from convrfm.experiments.catalogue import EXPERIMENTS
from convrfm.experiments.experiment import Verdict
from convrfm.experiments.finished_run import read_run
from convrfm.experiments.reproduce import Request, reproduce
from convrfm.experiments.run_folder import IDENTITY, STEPS
from convrfm.experiments.scale import Scale
from convrfm.networks import (
    Design,
    Labeled,
    NetworkCard,
    TrainingParts,
    TrainingProtocol,
    load_network,
    load_trained,
    load_weights,
    paper_scaling,
    train,
    write_card,
)
from convrfm.networks.weights import write_weights
from convrfm.storage.digests import digest, with_digest
from convrfm.storage.models import read_model

from .damage import VALUES, damaged_bytes, damaged_values

X = np.random.default_rng(0).random((8, 1, 6, 6)).astype(np.float32)
Y = np.arange(8) % 2
Attempt = Callable[[Path, random.Random], None]


def sane(data: datasets.ImageData) -> None:
    assert np.isfinite(data.x_train).all()
    assert len(data.x_train) == len(data.y_train) == len(data.names_train) > 0
    assert len(data.x_test) == len(data.y_test) == len(data.names_test) > 0


def picture_file(folder: Path, rng: random.Random) -> None:
    kind = rng.choice(("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "PPM"))
    mode = rng.choice(("RGB", "L", "P", "RGBA", "I;16", "F", "1")) if kind in ("PNG", "TIFF") else "RGB"
    buffer = io.BytesIO()
    pixels = np.random.default_rng(rng.randrange(1 << 30)).integers(256, size=(9, 7, 3), dtype=np.uint8)
    try:
        Image.fromarray(pixels).convert("L" if mode in ("I;16", "F") else mode).convert(mode).save(buffer, kind)
    except (OSError, ValueError):
        Image.fromarray(pixels).save(buffer, kind)
    (folder / "a.png").write_bytes(damaged_bytes(buffer.getvalue(), rng))
    picture = read_picture(folder / "a.png")
    assert picture.ndim == 3
    assert len(picture) in (1, 3)
    assert picture.min() >= 0
    assert picture.max() <= 255


def array_file(folder: Path, rng: random.Random) -> None:
    x, y = (np.random.default_rng(5).integers(256, size=(20, 5, 6), dtype=np.uint8), np.arange(20) % 2)
    rng.choice((np.savez, np.savez_compressed))(folder / "a.npz", x=x, y=y)
    (folder / "a.npz").write_bytes(damaged_bytes((folder / "a.npz").read_bytes(), rng))
    data = datasets.load(folder / "a.npz")
    sane(data)
    rows = [int(name) for name in data.names_train]
    np.testing.assert_allclose(data.x_train[:, 0], x[rows] / 255, atol=1e-6)
    np.testing.assert_array_equal(data.y_train, y[rows])


def odd_arrays(folder: Path, rng: random.Random) -> None:
    shape = (8, *(rng.choice((1, 2, 3, 5, 8)) for _ in range(rng.choice((2, 3)))))
    if rng.random() < 0.3:
        shape = tuple(rng.choice((0, 1, 2, 3, 5, 8)) for _ in range(rng.randrange(6)))
    kind = rng.choice(("u1", "u2", "i8", "f2", "f4", "f8", ">f4", ">f8", "?", "c8", "U3", "S3", "M8[s]"))
    x = np.zeros(shape, kind)
    if x.size and kind[-2:] in ("f2", "f4", "f8"):
        x.flat[0] = rng.choice((0.0, np.nan, np.inf, 1e38))
    if rng.random() < 0.2:
        x = np.ma.masked_array(x, mask=rng.random() < 0.5)
    y = rng.choice((Y, Y[:, None], np.eye(8), np.array(["a", "b"] * 4), np.array([b"a", b"b"] * 4), Y * np.nan, Y > 0))
    if rng.random() < 0.5:
        images = check_images(x)
        assert images.ndim == 4
        assert np.isfinite(images).all()
        check_labels(y, 8)
    else:
        names = rng.sample(("x", "y", "X", "x_train", "y_test", "val_images", "images", "labels", "junk"), 3)
        np.savez(folder / "a.npz", **dict(zip(names, (x, y, x[:1] if x.ndim else x), strict=True)))
        sane(datasets.load(folder / "a.npz"))


def class_folders(folder: Path, rng: random.Random) -> None:
    names = [
        b"cat",
        b"dog",
        b"caf\xe9",
        "猫".encode(),
        b"train",
        b"test",
        b".hidden",
        b"=1+1",
        b"val",
        b"a b",
        b"x" * 200,
    ]
    for number in range(rng.randrange(1, 12)):
        path = folder / os.fsdecode(b"/".join(rng.choices(names, k=rng.randrange(1, 4))))
        if os.path.lexists(path) or any(os.path.lexists(at) and not at.is_dir() for at in path.parents):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        match rng.randrange(6):
            case 0:
                path.symlink_to(rng.choice((folder, path.parent, path, folder / "nowhere")))
            case 1:
                os.mkfifo(path)
            case 2:
                path.mkdir()
            case _:
                Image.new("RGB", (5, 4), (number, 9, 9)).save(path.with_name(path.name + ".png"))
    sane(datasets.load(folder, unreadable=rng.choice(("error", "skip"))))


def label_table(folder: Path, rng: random.Random) -> None:
    rows = ["file,label"]
    (folder / "photos").mkdir()
    for i in range(8):
        Image.new("L", (4, 4), i).save(folder / "photos" / f"{i}.png")
        rows.append(f"{i}.png,{'ab'[i % 2]}")
    (folder / "t.csv").write_bytes(damaged_bytes("\n".join(rows).encode(), rng))
    sane(datasets.load(folder / "photos", labels=folder / "t.csv"))


WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2)}


def weights_file(folder: Path, rng: random.Random) -> None:
    """With checksums: what torch.save writes, and what this library does."""
    path = folder / rng.choice(("w.pt", "w.pth", "w.safetensors"))
    if path.suffix == ".safetensors":
        write_weights(path, WEIGHTS)
    else:
        torch.save(WEIGHTS, path)
    path.write_bytes(damaged_bytes(path.read_bytes(), rng))
    torch.testing.assert_close(load_weights(path), WEIGHTS, rtol=0, atol=0)


def weights_without_checksum(folder: Path, rng: random.Random) -> None:
    """Others' safetensors, and what torch.save wrote of old: a turned bit of a number cannot be noticed by anybody."""
    path = folder / rng.choice(("w.pt", "w.safetensors"))
    if path.suffix == ".safetensors":
        save_file(WEIGHTS, path)
    else:
        torch.save(WEIGHTS, path, _use_new_zipfile_serialization=False)
    path.write_bytes(damaged_bytes(path.read_bytes(), rng))
    for name, value in load_weights(path).items():
        assert isinstance(name, str)
        assert isinstance(value, torch.Tensor)


def network_name(folder: Path, rng: random.Random) -> None:
    parts = [
        "torchvision",
        "timm",
        "os",
        "",
        ":",
        "..",
        "resnet18",
        "@",
        "system",
        "collections",
        "\0",
        " ",
        "猫",
        "path",
    ]
    load_network("".join(rng.choices(parts, k=rng.randrange(1, 6))))
    raise AssertionError("this cannot be a network")


PARTS = TrainingParts(Labeled(torch.from_numpy(X), torch.from_numpy(Y)))
CARD = NetworkCard(Design("vanilla", width=2, depth=1), (1, 6, 6), 2, paper_scaling(1), "halves")
PROTOCOL = TrainingProtocol("sgd", 0.1, epochs=2, batch_size=4)


def trained(folder: Path) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    """Weights and the meter's records, of a training that goes on from what is in its folder."""
    network = CARD.design.build(CARD.image_shape, CARD.n_classes, seed=0)
    write_card(folder, CARD)
    tracker = cnfa.Tracker(network, torch.from_numpy(X), every=1, folder=folder, rotations=1)
    train(network, PARTS, PROTOCOL, seed=0, folder=folder, watch=tracker.update)
    return network.state_dict(), tracker.records


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def with_one_damaged(files: Mapping[str, bytes], folder: Path, rng: random.Random) -> None:
    """Write files, one of them as `damaged_bytes` has it."""
    chosen = rng.choice(sorted(files))
    for name, whole in files.items():
        (folder / name).write_bytes(damaged_bytes(whole, rng) if name == chosen else whole)


class Saved:
    """A model, a report, a training and a run of an experiment, made once."""

    def __init__(self, folder: Path) -> None:
        self.model = ConvRFMClassifier(kernels.Gaussian(3, 2.0), n_iterations=1).fit(X, np.where(Y, "猫", "dog"))
        self.model.save(folder / "model", Preprocessing((6, 6), 1, 255.0))
        self.probabilities = self.model.predict_proba(X)
        self.bytes = (folder / "model").read_bytes()
        header, self.tensors = read_model(folder / "model")
        self.values = header.model_dump(mode="json")
        network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(32, 2))
        self.report = cnfa.measure(network, torch.from_numpy(X))
        self.report.save(folder / "report")
        self.report_files = files_of(folder / "report")
        self.trained, self.records = trained(folder / "training")
        self.training_files = files_of(folder / "training")
        request = Request(Scale.SMOKE, changes={"n": "4", "width": "2"})
        self.found = reproduce(EXPERIMENTS["theorem1"], request, folder / "theorem1")
        self.run_files = {name: (folder / "theorem1" / name).read_bytes() for name in (IDENTITY, STEPS)}

    def model_file(self, folder: Path, rng: random.Random) -> None:
        (folder / "m").write_bytes(damaged_bytes(self.bytes, rng))
        np.testing.assert_array_equal(convrfm.load(folder / "m").predict_proba(X), self.probabilities)

    def forged_model(self, folder: Path, rng: random.Random) -> None:
        values, tensors = damaged_values(self.values, rng), dict(self.tensors)
        if rng.random() < 0.3:
            name = rng.choice(sorted(tensors))
            shape = tuple(rng.choice((0, 1, 2, 8, 9)) for _ in range(rng.randrange(4)))
            tensors[name] = rng.choice(
                (torch.zeros(shape), torch.full(tensors[name].shape, torch.nan), tensors[name].int())
            )
        try:
            said = json.dumps(values | {"digest": digest(values, tensors)})
        except TypeError:
            said = json.dumps(values)
        save_file(tensors, folder / "m", metadata={"convrfm": said})
        model = convrfm.load(folder / "m")
        images = torch.from_numpy(X) if rng.random() < 0.5 else X
        probabilities = np.asarray(model.predict_proba(images))
        assert np.isfinite(probabilities).all()
        model.predict(images)
        untouched = all(tensors[name] is tensor for name, tensor in self.tensors.items())
        if untouched and deciding(values) == deciding(self.values):
            np.testing.assert_allclose(probabilities, self.probabilities, atol=1e-6)

    def report_folder(self, folder: Path, rng: random.Random) -> None:
        with_one_damaged(self.report_files, folder, rng)
        found = cnfa.Report.load(folder)
        assert found.to_csv() == self.report.to_csv()

    def training_folder(self, folder: Path, rng: random.Random) -> None:
        with_one_damaged(self.training_files, folder, rng)
        found = load_trained(folder)
        assert found.card == CARD
        torch.testing.assert_close(found.network.state_dict(), self.trained, rtol=0, atol=0)
        initial = CARD.design.build(CARD.image_shape, CARD.n_classes, seed=0).state_dict()
        torch.testing.assert_close(dict(found.initial), dict(initial), rtol=0, atol=0)

    def continued_training(self, folder: Path, rng: random.Random) -> None:
        with_one_damaged(self.training_files, folder, rng)
        weights, records = trained(folder)
        torch.testing.assert_close(weights, self.trained, rtol=0, atol=0)
        assert all(record in self.records for record in records)  # a line that is gone is a step that is not told

    def run_folder(self, folder: Path, rng: random.Random) -> None:
        with_one_damaged(self.run_files, folder, rng)
        found = read_run(folder, EXPERIMENTS)
        assert (found.identity, found.lines) == (self.found.identity, self.found.lines)
        assert (found.finding.ours, found.finding.rows) == (self.found.finding.ours, self.found.finding.rows)

    def forged_run(self, folder: Path, rng: random.Random) -> None:
        """As a version would write it that knows other experiments, settings and results."""
        identity, lines = dict(self.found.identity), [dict(line) for line in self.found.lines]
        if rng.random() < 0.5:
            identity = damaged_values(identity, rng)
        else:
            at = rng.randrange(len(lines))
            told = {name: lines[at].pop(name) for name in ("seconds", "versions")}
            lines[at] = damaged_values(lines[at], rng) | told
        (folder / IDENTITY).write_text(json.dumps(with_digest(identity)), encoding="utf-8")
        (folder / STEPS).write_text("".join(json.dumps(with_digest(line)) + "\n" for line in lines), encoding="utf-8")
        assert read_run(folder, EXPERIMENTS).finding.verdict in Verdict

    def unfinished_run(self, folder: Path, rng: random.Random) -> None:
        from convrfm.commands.fit_folder import claimed

        (folder / "settings.json").write_bytes(damaged_bytes(b'{"data": "bars", "seed": 0}', rng))
        (folder / "metrics.json").write_text(json.dumps(rng.choice(VALUES)), encoding="utf-8")
        (folder / "model.safetensors").write_bytes(self.bytes)
        (folder / ".writing-x").touch()
        with claimed(folder, {"data": "bars", "seed": 0}, overwrite=rng.random() < 0.5) as goes_on:
            assert goes_on == (folder / "model.safetensors").is_file()


def deciding(values: dict[str, Any]) -> dict[str, Any]:
    """What a model's file says of what decides its predictions; all else it tells its readers."""
    learned = {name: value for name, value in values["learned"].items() if name not in ("history", "judged_on")}
    return {"learned": learned, "estimator": values["estimator"]}


def preprocessing_values(folder: Path, rng: random.Random) -> None:
    values = damaged_values(Preprocessing((4, 5), 3, 255.0, (0.1, 0.2, 0.3)).to_dict(), rng)
    Preprocessing.from_dict(values).apply([np.zeros((1, 6, 7), np.uint8)])


def attempts(folder: Path) -> list[Attempt]:
    """Every kind of attempt; what they share is made in this folder."""
    saved = Saved(folder)
    return [
        *(picture_file, array_file, odd_arrays, class_folders, label_table, network_name, preprocessing_values),
        *(weights_file, weights_without_checksum, saved.training_folder, saved.continued_training),
        *(saved.model_file, saved.forged_model, saved.forged_model, saved.report_folder, saved.unfinished_run),
        *(saved.run_folder, saved.forged_run),
    ]
