"""A model file says what was saved, to the last bit, or is refused."""

import json
import os
import random
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

import convrfm
from convrfm import ConvRFMClassifier, kernels
from convrfm.errors import ModelFileError
from convrfm.storage.models import FORMAT, FORMAT_VERSION, ModelHeader, read_model, write_model

X = np.random.default_rng(0).standard_normal((10, 1, 5, 5))


def header(**learned: object) -> ModelHeader:
    return ModelHeader(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        library_version="0",
        estimator="Any",
        parameters={},
        learned=learned,
        preprocessing=None,
    )


TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(0, 2), "c": torch.tensor(1.5, dtype=torch.float64)}


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    write_model(tmp_path / "model", header(names=["猫", "é"], number=0.1), TENSORS)
    found, tensors = read_model(tmp_path / "model")
    assert found == header(names=["猫", "é"], number=0.1)
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in tensors.items():
        assert tensor.dtype == TENSORS[name].dtype
        assert torch.equal(tensor, TENSORS[name])


def test_the_same_model_has_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        write_model(tmp_path / name, header(), TENSORS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_one_turned_bit_anywhere_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    write_model(tmp_path / "model", header(history=[{"error": 0.25}]), TENSORS)
    whole = (tmp_path / "model").read_bytes()
    bits = random.Random(0).sample(range(8 * len(whole)), 400)
    refused = 0
    for bit in bits:
        turned = bytearray(whole)
        turned[bit // 8] ^= 1 << bit % 8
        (tmp_path / "turned").write_bytes(turned)
        try:
            found, tensors = read_model(tmp_path / "turned")
        except ModelFileError:
            refused += 1
            continue
        assert found == header(history=[{"error": 0.25}])
        assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
    assert refused > 350


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "{}", '{"format": []}', "nan", '{"format": "convrfm-model"}'])
def test_headers_of_any_form_are_refused_in_words(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "dumps", lambda *_, **__: text)
    write_model(tmp_path / "model", header(), TENSORS)
    monkeypatch.undo()
    with pytest.raises(ModelFileError, match=r"damaged|format"):
        read_model(tmp_path / "model")


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found: list[BaseException] = []

    def attempt() -> None:
        try:
            read_model(tmp_path / "pipe")
        except ModelFileError as error:
            found.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(10)
    assert len(found) == 1


def test_the_folder_of_a_run_stands_for_its_model(tmp_path: Path) -> None:
    model = ConvRFMClassifier(kernels.Gaussian(3, 2.0), n_iterations=0).fit(X, np.arange(10) % 2)
    model.save(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(convrfm.load(tmp_path).predict_proba(X), model.predict_proba(X))
    with pytest.raises(ModelFileError, match=r"no model file .*empty/model\.safetensors"):
        (tmp_path / "empty").mkdir()
        convrfm.load(tmp_path / "empty")
