"""Networks by name, weights from files, and the published residual networks."""

import io
import os
import pickle
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from convrfm import networks
from convrfm.errors import InputError, MissingDependencyError, ModelFileError
from convrfm.networks.weights import write_weights


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
    with pytest.raises(InputError, match=r"torchvision has no network 'resnet19'.*Near matches: .*resnet1"):
        networks.load_network("torchvision:resnet19")


def test_an_empty_name_of_weights_is_refused() -> None:
    pytest.importorskip("torchvision")
    with pytest.raises(
        InputError, match=r"after @; got none\. Pass torchvision:resnet18@DEFAULT, or torchvision:resnet18 for"
    ):
        networks.load_network("torchvision:resnet18@")


def cut_short(state: Mapping[str, Tensor]) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()[:-100]


DOWNLOADS = {
    "empty": lambda network: b"",
    "another file": lambda network: b"no weights",
    "cut short": lambda network: cut_short(network.state_dict()),
}


@pytest.mark.parametrize("content", DOWNLOADS.values(), ids=DOWNLOADS)
def test_a_damaged_download_of_weights_is_named(
    content: Callable[[nn.Module], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = pytest.importorskip("torchvision.models")
    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path))
    file = tmp_path / "checkpoints" / Path(models.SqueezeNet1_1_Weights.DEFAULT.url).name
    file.parent.mkdir()
    file.write_bytes(content(models.squeezenet1_1()))
    with pytest.raises(InputError, match=rf"{re.escape(str(file))} must hold the weights of .* Delete it"):
        networks.load_network("torchvision:squeezenet1_1@DEFAULT")


def test_a_download_with_a_wrong_checksum_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torchvision")

    def download(*_: object, **__: object) -> None:
        raise RuntimeError('invalid hash value (expected "b8a52dc0", got "0")')

    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", download)
    with pytest.raises(InputError, match=r"RuntimeError: invalid hash value .* repeat the command"):
        networks.load_network("torchvision:squeezenet1_1@DEFAULT")


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
        (":resnet20", "must be torchvision:NAME"),
        ("..cnfa:measure", "there is no 'measure'"),
        ("..:measure", "there is no 'measure'"),
        ("os:getpid:x", "there is no 'getpid:x' in 'os'"),
        ("os:system", r"os:system\(\) must build a network; it raised TypeError"),
        ("collections:OrderedDict", "must return a torch.nn.Module; it returned OrderedDict"),
    ],
)
def test_wrong_names_are_named(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        networks.load_network(name)


def test_a_module_in_the_working_folder_is_pointed_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    (tmp_path / "my_networks_of_this_test.py").touch()
    with pytest.raises(InputError, match=r"my_networks_of_this_test lies in this folder.*PYTHONPATH=\."):
        networks.load_network("my_networks_of_this_test:build")
    with pytest.raises(InputError, match=r"named without \.py, and with dots between folders: nets\.own\.$"):
        networks.load_network("nets/own.py:network")
    with pytest.raises(InputError, match=r"Where a folder holds elsewhere_of_this_test\.py.*PYTHONPATH=FOLDER"):
        networks.load_network("elsewhere_of_this_test:build")


def test_a_factory_that_fails_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "failing_networks_of_this_test.py").write_text("def build():\n    raise RuntimeError('no luck')\n")
    (tmp_path / "needing_networks_of_this_test.py").write_text("import nowhere_of_this_test\n")
    with pytest.raises(InputError, match=r"No module named 'nowhere_of_this_test'\.$"):
        networks.load_network("needing_networks_of_this_test:build")
    (tmp_path / "broken_networks_of_this_test.py").write_text("def build(:\n")
    with pytest.raises(InputError, match=r"build\(\) must build a network; it raised RuntimeError: no luck"):
        networks.load_network("failing_networks_of_this_test:build")
    with pytest.raises(InputError, match="SyntaxError"):
        networks.load_network("broken_networks_of_this_test:build")


def test_a_library_that_does_not_load_is_told_from_one_that_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise RuntimeError("operator torchvision::nms does not exist\nand a long story")

    monkeypatch.setattr("importlib.import_module", broken)
    with pytest.raises(MissingDependencyError, match=r"is installed, but does not load here \(operator .* exist\)"):
        networks.load_network("torchvision:resnet18")


def test_weights_load_from_every_safe_form(tmp_path: Path) -> None:
    state = nn.Linear(2, 3).state_dict()
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "a.pt")
    torch.save({"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}}, tmp_path / "b.pth")
    for name in ("a.safetensors", "a.pt", "b.pth"):
        torch.testing.assert_close(networks.load_weights(tmp_path / name), dict(state))


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def prefixed(prefix: str) -> Callable[[nn.Module], dict[str, Tensor]]:
    return lambda network: {f"{prefix}{name}": value for name, value in network.state_dict().items()}


CHECKPOINTS: dict[str, Callable[[nn.Module], object]] = {
    "with an optimizer": lambda network: {
        "model_state_dict": network.state_dict(),
        "optimizer_state_dict": torch.optim.SGD(network.parameters(), 0.1).state_dict(),
        "epoch": 3,
    },
    "net": lambda network: {"net": network.state_dict(), "acc": 93.1, "loss": torch.tensor(0.1)},
    "two keys": lambda network: {"checkpoint": {"state_dict": network.state_dict(), "epoch": 3}, "args": {"lr": 0.1}},
    "averaged": lambda network: AveragedModel(network).state_dict(),
    "Lightning's": lambda network: {"state_dict": prefixed("model.")(network), "hyper_parameters": {"width": 4}},
    "data-parallel": prefixed("module."),
    "compiled": prefixed("_orig_mod."),
    "all of them": prefixed("model.module._orig_mod."),
    "two levels": prefixed("net.backbone."),
    "beside a loss": lambda network: {"state_dict": {**prefixed("model.")(network), "criterion.weight": torch.ones(2)}},
    "beside a part": lambda network: {**prefixed("model.")(network), "ema.0.weight": torch.ones(3, 2)},
    "without counters": lambda network: {
        f"net.{name}": value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")
    },
}


@pytest.mark.parametrize("saved", CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_checkpoints_of_every_usual_form_fill_a_network(saved: Callable[[nn.Module], object], tmp_path: Path) -> None:
    network, filled = small(), small()
    torch.save(saved(network), tmp_path / "a.pt")
    networks.fill_with_weights(filled, tmp_path / "a.pt")
    assert same(filled.state_dict(), network.state_dict())


@pytest.mark.parametrize("prefix", ["", "module.", "model."])
@pytest.mark.parametrize("name", ["module", "model"])
def test_names_that_are_the_network_s_own_are_kept(name: str, prefix: str, tmp_path: Path) -> None:
    network, filled = (nn.ModuleDict({name: small()}) for _ in "ab")
    torch.save(prefixed(prefix)(network), tmp_path / "a.pt")
    networks.fill_with_weights(filled, tmp_path / "a.pt")
    assert same(filled.state_dict(), network.state_dict())


def test_one_of_several_state_dicts_is_not_chosen_in_silence(tmp_path: Path) -> None:
    network, average = small(), small()
    kept = {"state_dict": network.state_dict(), "epoch": 3, "state_dict_ema": average.state_dict()}
    torch.save(kept, tmp_path / "a.pt")
    with pytest.raises(
        ModelFileError, match=r"one state dict; it holds \['state_dict'\], \['state_dict_ema'\]"
    ) as told:
        networks.fill_with_weights(small(), tmp_path / "a.pt")
    line = str(told.value).partition("that is meant: ")[2].rstrip(".")
    assert line == f"torch.save(torch.load({str(tmp_path / 'a.pt')!r})['state_dict'], 'weights.pt')"


@pytest.mark.parametrize("kept", ["student.", "teacher."])
def test_one_of_several_networks_in_a_state_dict_is_not_chosen_in_silence(kept: str, tmp_path: Path) -> None:
    both = [small(), small()]
    weights = {**prefixed("student.")(both[0]), **prefixed("teacher.")(both[1])}
    torch.save({"state_dict": weights}, tmp_path / "a.pt")
    with pytest.raises(InputError, match=r"of one network; it holds those of student\., teacher\.\. Keep") as told:
        networks.fill_with_weights(small(), tmp_path / "a.pt")
    line = str(told.value).partition("Keep what is meant: ")[2].rstrip(".").replace("student.", kept)
    torch.save(eval(line, {"state_dict": weights}), tmp_path / "one.pt")
    networks.fill_with_weights(filled := small(), tmp_path / "one.pt")
    assert same(filled.state_dict(), both[kept == "teacher."].state_dict())


def test_one_of_two_weights_of_a_name_is_not_chosen_in_silence(tmp_path: Path) -> None:
    weights = prefixed("body.")(small())
    weights |= {"1.bias": weights.pop("body.1.bias")}
    torch.save(weights, tmp_path / "a.pt")
    networks.fill_with_weights(filled := small(), tmp_path / "a.pt")
    assert torch.equal(filled.state_dict()["0.weight"], weights["body.0.weight"])
    torch.save(weights | {"0.weight": torch.ones(3, 2)}, tmp_path / "b.pt")
    with pytest.raises(InputError, match=r"missing: 4 .*; unknown: \d \(body\.0\.weight"):
        networks.fill_with_weights(small(), tmp_path / "b.pt")


def test_weights_of_another_network_are_named_without_what_stands_before_them(tmp_path: Path) -> None:
    other = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3, affine=False), nn.Linear(3, 1))
    torch.save(prefixed("model.")(other), tmp_path / "a.pt")
    with pytest.raises(InputError, match=r"missing: 2 \(1\.weight, 1\.bias\); unknown: 2 \(2\.weight, 2\.bias\)"):
        networks.fill_with_weights(small(), tmp_path / "a.pt")


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


def test_a_pickled_network_is_refused_with_the_line_that_saves_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(network := small(), "whole.pt")
    with pytest.raises(ModelFileError, match="could run code, so it is refused") as told:
        networks.fill_with_weights(small(), "whole.pt")
    said = str(told.value)
    assert said.isprintable()
    exec(said.partition("save its state dict: ")[2].partition("; of a checkpoint")[0])
    networks.fill_with_weights(filled := small(), "weights.pt")
    assert same(filled.state_dict(), network.state_dict())


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be read as weights"):
        networks.load_weights(tmp_path / "missing.safetensors")
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    with pytest.raises(ModelFileError, match="cannot be read as weights"):
        networks.load_weights(tmp_path / "junk.safetensors")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ModelFileError, match="must hold a state dict of tensors; it holds list"):
        networks.load_weights(tmp_path / "list.pt")


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    found: list[BaseException] = []

    def attempt() -> None:
        try:
            networks.load_weights(tmp_path / "pipe.pt")
        except ModelFileError as error:
            found.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(10)
    assert len(found) == 1


def as_torch_saves_them(path: Path) -> dict[str, Tensor]:
    torch.save(state := nn.Linear(3, 2).state_dict(), path)
    return state


def with_a_digest(path: Path) -> dict[str, Tensor]:
    write_weights(path, state := nn.Linear(3, 2).state_dict())
    return state


def without_any_checksum(path: Path) -> dict[str, Tensor]:
    save_file(state := nn.Linear(3, 2).state_dict(), path)
    return state


def damaged_bit_by_bit(path: Path) -> Iterator[dict[str, Tensor]]:
    """What is read of a file with one bit turned, wherever it is not refused in words."""
    whole = path.read_bytes()
    generator = np.random.default_rng(0)
    for position in generator.integers(len(whole), size=300):
        turned = whole[:position] + bytes([whole[position] ^ 1 << generator.integers(8)]) + whole[position + 1 :]
        path.write_bytes(turned)
        with suppress(ModelFileError):
            yield networks.load_weights(path)


@pytest.mark.parametrize(
    ("write", "name"), [(as_torch_saves_them, "a.pt"), (as_torch_saves_them, "a.pth"), (with_a_digest, "a.safetensors")]
)
def test_damage_anywhere_gives_the_weights_that_were_saved_or_a_worded_error(
    write: Callable[[Path], dict[str, Tensor]], name: str, tmp_path: Path
) -> None:
    """Where a file has checksums: torch writes them and does not look at them."""
    state, read = write(tmp_path / name), 0
    for found in damaged_bit_by_bit(tmp_path / name):
        torch.testing.assert_close(found, dict(state), rtol=0, atol=0)
        read += 1
    assert read < 250


def test_damage_of_safetensors_without_a_digest_gives_tensors_or_a_worded_error(tmp_path: Path) -> None:
    """Nothing in such a file tells a turned bit of a number: other numbers than were saved are read, and nobody can know."""
    state = without_any_checksum(tmp_path / "a.safetensors")
    read = list(damaged_bit_by_bit(tmp_path / "a.safetensors"))
    assert all(isinstance(value, Tensor) for found in read for value in found.values())
    assert any(found.keys() == state.keys() and not same(found, state) for found in read)


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in second)


def test_a_turned_bit_of_weights_that_torch_saved_is_told(tmp_path: Path) -> None:
    weights = torch.arange(1000.0)
    torch.save({"weight": weights}, tmp_path / "a.pt")
    whole = (tmp_path / "a.pt").read_bytes()
    at = whole.index(weights.numpy().tobytes()) + 2001
    (tmp_path / "a.pt").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    with pytest.raises(
        ModelFileError,
        match=r"data/0 in it holds other bytes than were saved, or .* without checksums\. Copy the file again",
    ):
        networks.load_weights(tmp_path / "a.pt")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_network_is_refused_with_what_helps(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "a.pt")
    with pytest.raises(ModelFileError, match=r"Write its state_dict: torch\.save\(torch\.jit\.load"):
        networks.load_weights(tmp_path / "a.pt")


def test_weights_of_another_network_are_counted_and_not_listed(tmp_path: Path) -> None:
    save_file(networks.resnet20().state_dict(), tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=r"missing: \d+ \(\S+, \S+, \S+, \.\.\.\)\. Name the network") as refusal:
        networks.fill_with_weights(networks.resnet32(), tmp_path / "a.safetensors")
    assert len(str(refusal.value)) < 400
    other = {name: value[..., :1].contiguous() for name, value in nn.Linear(2, 3).state_dict().items()}
    save_file({**other, "extra": torch.zeros(1)}, tmp_path / "b.safetensors")
    with pytest.raises(InputError, match=r"unknown: 1 \(extra\); of another shape: 2 \(weight, bias\)"):
        networks.fill_with_weights(nn.Linear(2, 3), tmp_path / "b.safetensors")


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.full((3, 2), torch.nan), "bias": torch.zeros(3)}, tmp_path / "a.safetensors")
    with pytest.raises(ModelFileError, match="NaN or infinity in weight"):
        networks.fill_with_weights(nn.Linear(2, 3), tmp_path / "a.safetensors")


def test_the_counters_of_batch_norms_may_be_missing(tmp_path: Path) -> None:
    saved = networks.resnet20()
    save_file({k: v for k, v in saved.state_dict().items() if "num_batches" not in k}, tmp_path / "a.safetensors")
    filled = networks.resnet20()
    networks.fill_with_weights(filled, tmp_path / "a.safetensors")
    torch.testing.assert_close(filled.conv1.weight, saved.conv1.weight)


def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2)).eval()


def test_a_lazy_network_takes_weights_before_it_has_run(tmp_path: Path) -> None:
    saved, filled, x = lazy(), lazy(), torch.randn(2, 3, 5, 5)
    expected = saved(x)
    save_file(saved.state_dict(), tmp_path / "a.safetensors")
    networks.fill_with_weights(filled, tmp_path / "a.safetensors")
    torch.testing.assert_close(filled(x), expected)
