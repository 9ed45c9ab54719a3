"""Inputs as nobody should send them, each made from a number; what may come of them: a worded error, or the right values."""

import io
import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save, save_file

import convrfm
from convrfm import ConvRFMClassifier, cnfa, datasets, kernels
from convrfm.datasets import Preprocessing, check_images, check_labels
from convrfm.datasets.pictures import read_picture
from convrfm.networks import load_network, load_weights
from convrfm.storage.digests import digest
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


def weights_file(folder: Path, rng: random.Random) -> None:
    state = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2)}
    suffix = rng.choice((".pt", ".safetensors"))
    buffer = io.BytesIO()
    torch.save(state, buffer)
    whole = save(state) if suffix == ".safetensors" else buffer.getvalue()
    (folder / f"w{suffix}").write_bytes(damaged_bytes(whole, rng))
    for name, value in load_weights(folder / f"w{suffix}").items():
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


class Saved:
    """A model and a report, made once."""

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
        self.report_files = {path.name: path.read_bytes() for path in (folder / "report").iterdir()}

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
        assert np.isfinite(np.asarray(model.predict_proba(images))).all()
        model.predict(images)

    def report_folder(self, folder: Path, rng: random.Random) -> None:
        chosen = rng.choice(sorted(self.report_files))
        for name, whole in self.report_files.items():
            (folder / name).write_bytes(damaged_bytes(whole, rng) if name == chosen else whole)
        found = cnfa.Report.load(folder)
        assert found.to_csv() == self.report.to_csv()

    def unfinished_run(self, folder: Path, rng: random.Random) -> None:
        from convrfm.commands.fit_folder import claimed

        (folder / "settings.json").write_bytes(damaged_bytes(b'{"data": "bars", "seed": 0}', rng))
        (folder / "metrics.json").write_text(json.dumps(rng.choice(VALUES)), encoding="utf-8")
        (folder / "model.safetensors").write_bytes(self.bytes)
        (folder / ".writing-x").touch()
        with claimed(folder, {"data": "bars", "seed": 0}, overwrite=rng.random() < 0.5) as goes_on:
            assert goes_on == (folder / "model.safetensors").is_file()


def preprocessing_values(folder: Path, rng: random.Random) -> None:
    values = damaged_values(Preprocessing((4, 5), 3, 255.0, (0.1, 0.2, 0.3)).to_dict(), rng)
    Preprocessing.from_dict(values).apply([np.zeros((1, 6, 7), np.uint8)])


def attempts(folder: Path) -> list[Attempt]:
    """Every kind of attempt; what they share is made in this folder."""
    saved = Saved(folder)
    return [
        *(picture_file, array_file, odd_arrays, class_folders, label_table, weights_file, network_name),
        *(saved.model_file, saved.forged_model, saved.forged_model, saved.report_folder, saved.unfinished_run),
        preprocessing_values,
    ]
