"""One loop for every training: its steps, what it keeps, and that an interruption changes no number."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from convrfm import cnfa, networks
from convrfm.errors import InputError, ModelFileError
from convrfm.networks import Labeled, Trained, TrainingParts, TrainingProtocol
from convrfm.networks.augmentation import augmented, shifted
from convrfm.networks.protocols import OPTIMIZERS

SHAPE = (1, 16, 16)
DESIGN = networks.Design("simplenet", width=4, dropout=0.2)
PROTOCOL = TrainingProtocol("adadelta", 0.5, epochs=5, batch_size=8, milestones=(3,), augment=("flip", "shift"))


def images(n: int, seed: int) -> Labeled:
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    return Labeled(torch.randn(n, *SHAPE, generator=generator) + y[:, None, None, None], y)


def parts(seed: int = 0) -> TrainingParts:
    return TrainingParts(images(20, seed), images(12, seed + 1), images(12, seed + 2))


def trained(protocol: TrainingProtocol = PROTOCOL, **options: object) -> tuple[Trained, nn.Module]:
    network = DESIGN.build(SHAPE, 3, seed=0)
    return networks.train(network, parts(), protocol, seed=0, **options), network


def without_clock(found: Trained) -> list[networks.Epoch]:
    return [replace(epoch, seconds=0.0) for epoch in found.epochs]


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("loss", ["squared", "cross-entropy"])
def test_a_step_of_gradient_descent_is_that_of_the_mean_loss(loss: networks.protocols.Loss) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 14 * 14, 3))
    x, y = images(6, 0)
    before = [p.detach().double().requires_grad_() for p in network.parameters()]
    twin = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 14 * 14, 3)).double()
    outputs = torch.func.functional_call(
        twin, dict(zip(dict(twin.named_parameters()), before, strict=True)), x.double()
    )
    if loss == "squared":
        total = (outputs - torch.eye(3, dtype=torch.float64)[y]).square().sum() / (6 * 3)
    else:
        total = -(outputs - outputs.logsumexp(1, keepdim=True))[torch.arange(6), y].mean()
    decayed = total + 0.05 * sum(p.square().sum() for p in before)
    expected = [p - 0.3 * g for p, g in zip(before, torch.autograd.grad(decayed, before), strict=True)]
    protocol = TrainingProtocol("sgd", 0.3, epochs=1, batch_size=6, loss=loss, weight_decay=0.1)
    found = networks.train(network, TrainingParts(Labeled(x, y)), protocol, seed=0)
    for parameter, wanted in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.detach().double(), wanted.detach(), rtol=1e-5, atol=1e-6)
    assert found.epochs[0].train_loss == pytest.approx(total.item(), rel=1e-5)
    assert found.epochs[0].held_out_loss is None


def test_learning_rates_fall_after_their_milestones() -> None:
    assert [epoch.learning_rate for epoch in trained()[0].epochs] == pytest.approx([0.5, 0.5, 0.5, 0.05, 0.05])


def test_the_settings_of_appendix_b_are_there_by_name() -> None:
    told = {name: (p.optimizer, p.learning_rate, p.epochs) for name, p in networks.PROTOCOLS.items()}
    assert told == {
        "adam": ("adam", 1e-4, 500),
        "adam-toy": ("adam", 1e-4, 25),
        "sgd": ("sgd", 0.1, 2000),
        "sgd-toy": ("sgd", 0.1, 100),
        "fig9": ("adam", 2e-4, 500),
        "adadelta": ("adadelta", 0.1, 700),
    }
    assert {p.batch_size for name, p in networks.PROTOCOLS.items() if name != "adadelta"} == {128}


def test_the_best_epoch_is_that_of_held_out_images_and_test_images_decide_nothing() -> None:
    found, network = trained(replace(PROTOCOL, epochs=8))
    best = max(found.epochs, key=lambda e: (e.held_out_accuracy, -(e.held_out_loss or 0)))
    assert found.kept == best
    x, y = parts().held_out or parts().train
    assert (networks.outputs_of(network, x).argmax(1) == y).double().mean().item() == found.kept.held_out_accuracy
    other = parts()._replace(test=images(12, 99))
    blind = DESIGN.build(SHAPE, 3, seed=0)
    unseen = networks.train(blind, other, replace(PROTOCOL, epochs=8), seed=0)
    assert unseen.kept.epoch == found.kept.epoch
    assert same(blind.state_dict(), network.state_dict())
    assert unseen.best_test_accuracy == max(e.test_accuracy for e in unseen.epochs if e.test_accuracy is not None)


def test_training_ends_when_held_out_images_have_waited_long_enough() -> None:
    found, _ = trained(replace(PROTOCOL, epochs=60, patience=2))
    assert len(found.epochs) == found.kept.epoch + 2


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_an_interrupted_training_continues_to_the_same_numbers(optimizer: str, tmp_path: Path) -> None:
    protocol = replace(PROTOCOL, optimizer=optimizer, learning_rate=0.01)
    whole, network = trained(protocol)

    def interrupt(epoch: networks.Epoch) -> None:
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(protocol, folder=tmp_path, tell=interrupt)
    seen: list[int] = []
    continued, again = trained(protocol, folder=tmp_path, watch=seen.append)
    assert seen == [3, 4, 5]
    assert without_clock(continued) == without_clock(whole)
    assert same(again.state_dict(), network.state_dict())
    assert same(continued.last, whole.last)
    assert same(load_file(tmp_path / "initial.safetensors"), DESIGN.build(SHAPE, 3, 0).state_dict())
    assert same(load_file(tmp_path / "weights.safetensors"), network.state_dict())


SLOWLY = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_training import trained
trained(folder=Path(sys.argv[2]), tell=lambda epoch: time.sleep(1))
"""


def test_a_killed_training_continues_to_the_same_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", SLOWLY, str(Path(__file__).parent), str(folder)])
    while process.poll() is None and not (folder / "checkpoint.safetensors").exists():
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "it had ended by itself"
    seen: list[int] = []
    continued, network = trained(folder=folder, watch=seen.append)
    assert seen and seen[0] > 1
    whole, other = trained()
    assert without_clock(continued) == without_clock(whole)
    assert same(network.state_dict(), other.state_dict())


def test_another_training_in_the_folder_is_told_by_what_differs(tmp_path: Path) -> None:
    trained(folder=tmp_path)
    with pytest.raises(InputError, match=r"differs in protocol\. Repeat its settings"):
        trained(replace(PROTOCOL, decay=0.2), folder=tmp_path)
    with pytest.raises(InputError, match="differs in seed, initial weights, images"):
        networks.train(DESIGN.build(SHAPE, 3, 1), parts(5), PROTOCOL, seed=1, folder=tmp_path)


def test_damage_of_a_checkpoint_is_noticed(tmp_path: Path) -> None:
    trained(folder=tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    whole = path.read_bytes()
    for position in np.random.default_rng(0).integers(len(whole), size=20):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        with pytest.raises((ModelFileError, InputError)):
            trained(folder=tmp_path)


@pytest.mark.filterwarnings("ignore:layer .* the squares of its gradients vanish")  # of a few epochs
def test_the_tracker_sees_the_true_initial_weights_and_every_epoch(tmp_path: Path) -> None:
    network = DESIGN.build(SHAPE, 3, seed=0)
    tracker = cnfa.Tracker(network, images(4, 7).x, every=2, folder=tmp_path, rotations=1)
    networks.train(network, parts(), PROTOCOL, seed=0, folder=tmp_path, watch=tracker.update)
    assert [record["step"] for record in tracker.records] == [0, 2, 4]
    assert tracker.initial is not None
    assert same(dict(tracker.initial), DESIGN.build(SHAPE, 3, 0).state_dict())
    assert [json.loads(line)["step"] for line in (tmp_path / "track.jsonl").read_text().splitlines()] == [0, 2, 4]


@pytest.mark.filterwarnings("ignore:layer .* the squares of its gradients vanish")  # of a few epochs
def test_a_watching_tracker_changes_no_number() -> None:
    network = DESIGN.build(SHAPE, 3, seed=0)
    tracker = cnfa.Tracker(network, images(4, 7).x, every=1, rotations=1)
    watched = networks.train(network, parts(), PROTOCOL, seed=0, watch=tracker.update)
    assert without_clock(watched) == without_clock(trained()[0])


def test_a_training_that_diverges_is_said() -> None:
    protocol = TrainingProtocol("sgd", 1e30, epochs=20, batch_size=4)
    with pytest.raises(InputError, match=r"training diverged\. Lower the learning rate"):
        networks.train(networks.Design("vanilla", width=4).build(SHAPE, 3, 0), parts(), protocol, seed=0)


@pytest.mark.parametrize(
    "values",
    [{"epochs": 0}, {"learning_rate": float("nan")}, {"batch_size": 0}, {"patience": 0}, {"weight_decay": -1.0}],
)
def test_settings_out_of_range_are_named(values: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(values))} must be finite and at least"):
        TrainingProtocol(**values)


def test_every_shift_is_a_translation_and_all_are_drawn() -> None:
    x = torch.zeros(400, 1, 16, 16)
    x[:, 0, 8, 8] = 1
    moved = shifted(x, torch.Generator().manual_seed(0))
    assert torch.equal(moved.sum((1, 2, 3)), torch.ones(400))
    places = {tuple(place) for place in moved.nonzero()[:, 2:].tolist()}
    assert {row for row, _ in places} == {column for _, column in places} == set(range(4, 13))


@pytest.mark.parametrize(("changes", "share"), [((), 0.0), (("flip",), 0.5)])
def test_flips_are_of_every_other_image(changes: Sequence[str], share: float) -> None:
    x = torch.arange(4.0).expand(1000, 1, 4, 4)
    found = augmented(x, changes, torch.Generator().manual_seed(0))
    flipped = (found == x.flip(3)).all((1, 2, 3))
    assert ((found == x).all((1, 2, 3)) | flipped).all()
    assert flipped.double().mean().item() == pytest.approx(share, abs=0.05)
