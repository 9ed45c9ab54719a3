"""Networks by name, weights from files, and the published residual networks."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from convrfm import networks
from convrfm.errors import InputError, ModelFileError


@pytest.mark.parametrize(("build", "parameters"), [(networks.resnet20, 269_722), (networks.resnet32, 464_154)])
def test_residual_networks_have_the_published_number_of_parameters(build: type[nn.Module], parameters: int) -> None:
    assert sum(p.numel() for p in build().parameters()) == parameters


@pytest.mark.parametrize(("name", "published"), [("resnet20", 0.936), ("resnet32", 0.928)])
def test_published_weights_reach_their_accuracy(name: str, published: float, real_data: Path) -> None:
    network = getattr(networks, name)().eval()
    network.load_state_dict(networks.load_weights(real_data / "weights" / f"cifar10_{name}.safetensors"))
    tiles = np.asarray(Image.open(real_data / "cifar10" / "test_00.png")).reshape(50, 32, 40, 32, 3).swapaxes(1, 2)
    images = torch.tensor(tiles.reshape(-1, 32, 32, 3)[:500]).permute(0, 3, 1, 2) / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    labels = np.load(real_data / "cifar10" / "test_labels.npy")[:500]
    with torch.no_grad():
        predicted = network((images - mean.reshape(3, 1, 1)) / std.reshape(3, 1, 1)).argmax(1)
    assert (predicted.numpy() == labels).mean() == pytest.approx(published, abs=0.035)


def test_networks_are_found_by_name() -> None:
    pytest.importorskip("torchvision")
    assert type(networks.load_network("torchvision:squeezenet1_1")).__name__ == "SqueezeNet"
    with pytest.raises(InputError, match="torchvision has no network 'resnet19'"):
        networks.load_network("torchvision:resnet19")


def test_timm_networks_are_found_by_name() -> None:
    pytest.importorskip("timm")
    assert isinstance(networks.load_network("timm:resnet10t"), nn.Module)
    with pytest.raises(InputError, match="timm has no network 'nonsense'"):
        networks.load_network("timm:nonsense")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet18", "must be torchvision:NAME"),
        ("convrfm.networks:resnet2", "there is no 'resnet2'"),
        ("convrfm.nothing:resnet20", "there is no 'resnet20' in 'convrfm.nothing'"),
        ("collections:OrderedDict", "must return a torch.nn.Module; it returned OrderedDict"),
    ],
)
def test_wrong_names_are_named(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        networks.load_network(name)


def test_weights_load_from_every_safe_form(tmp_path: Path) -> None:
    state = nn.Linear(2, 3).state_dict()
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "a.pt")
    torch.save({"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}}, tmp_path / "b.pth")
    for name in ("a.safetensors", "a.pt", "b.pth"):
        torch.testing.assert_close(networks.load_weights(tmp_path / name), dict(state))


class Unsafe:
    def __reduce__(self) -> tuple:
        return (os.mkdir, ("this-folder-must-not-appear",))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_unsafe_weights_are_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Unsafe()}, tmp_path / "unsafe.pt")
    with pytest.raises(ModelFileError, match="could run code, so it is refused"):
        networks.load_weights(tmp_path / "unsafe.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Unsafe()))
    with pytest.raises(ModelFileError):
        networks.load_weights(tmp_path / "plain.pt")
    assert not (tmp_path / "this-folder-must-not-appear").exists()


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be read as weights"):
        networks.load_weights(tmp_path / "missing.safetensors")
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    with pytest.raises(ModelFileError, match="cannot be read as weights"):
        networks.load_weights(tmp_path / "junk.safetensors")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ModelFileError, match="must hold a state dict of tensors; it holds list"):
        networks.load_weights(tmp_path / "list.pt")
