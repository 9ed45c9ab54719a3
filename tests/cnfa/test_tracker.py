"""The tracker measures along training, and continues where a run stopped."""

import csv
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from convrfm import cnfa
from convrfm.errors import InputError, ModelFileError


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))


@pytest.fixture
def images() -> Tensor:
    return torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def train(model: nn.Module, tracker: cnfa.Tracker, images: Tensor, first: int, last: int) -> None:
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for step in range(first, last):
        tracker.update(step)
        optimizer.zero_grad()
        model(images).square().sum().backward()
        optimizer.step()


def test_due_steps_are_measured_against_the_first(images: Tensor) -> None:
    model = network().train()
    tracker = cnfa.Tracker(model, images, every=2)
    train(model, tracker, images, 0, 5)
    assert [record["step"] for record in tracker.records] == [0, 2, 4]
    first, last = (record["layers"][0] for record in (tracker.records[0], tracker.records[-1]))
    assert first["initial_cnfm_cosine"] == pytest.approx(1)
    assert last["initial_cnfm_cosine"] < 0.9999
    assert last["initial_cosine"] == pytest.approx(first["trained_cosine"])
    assert all(module.training for module in model.modules())


def test_tracking_does_not_disturb_training(images: Tensor) -> None:
    tracked, alone = network().train(), network().train()
    train(tracked, cnfa.Tracker(tracked, images, every=1, probes=2), images, 0, 4)
    train(alone, cnfa.Tracker(alone, images, every=1000), images, 0, 4)
    torch.testing.assert_close(tracked.state_dict(), alone.state_dict(), rtol=0, atol=0)


def test_a_resumed_run_records_what_an_unbroken_one_does(images: Tensor, tmp_path: Path) -> None:
    unbroken = network().train()
    train(unbroken, cnfa.Tracker(unbroken, images, every=1, folder=tmp_path / "unbroken"), images, 0, 6)
    broken = network().train()
    first = cnfa.Tracker(broken, images, every=1, folder=tmp_path / "broken")
    train(broken, first, images, 0, 3)
    checkpoint = {name: value.clone() for name, value in broken.state_dict().items()}
    train(broken, first, images, 3, 5)  # lost: after the checkpoint
    resumed = network().train()
    resumed.load_state_dict(checkpoint)
    train(resumed, cnfa.Tracker(resumed, images, every=1, folder=tmp_path / "broken"), images, 3, 6)
    texts = [(tmp_path / run / "track.jsonl").read_text() for run in ("unbroken", "broken")]
    assert texts[0] == texts[1]
    assert [json.loads(line)["step"] for line in texts[0].splitlines()] == list(range(6))


def test_csv_has_a_line_per_step_and_layer(images: Tensor, tmp_path: Path) -> None:
    model = network()
    tracker = cnfa.Tracker(model, images, every=1)
    train(model, tracker, images, 0, 2)
    tracker.to_csv(tmp_path / "track.csv")
    with (tmp_path / "track.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["name"]) for row in rows] == [("0", "0"), ("0", "4"), ("1", "0"), ("1", "4")]
    assert float(rows[2]["trained_cosine"]) == tracker.records[1]["layers"][0]["trained_cosine"]


def test_a_writer_is_told_every_correlation(images: Tensor) -> None:
    class Writer:
        def __init__(self) -> None:
            self.told: dict[tuple[str, int], float] = {}

        def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
            self.told[tag, global_step] = scalar_value

    writer = Writer()
    tracker = cnfa.Tracker(network(), images, every=1, writer=writer)
    tracker.update(3)
    assert writer.told["cnfa/trained_cosine/0", 3] == tracker.records[0]["layers"][0]["trained_cosine"]


@pytest.mark.skipif(not importlib.util.find_spec("tensorboard"), reason="tensorboard is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_takes_the_records(images: Tensor, tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        cnfa.Tracker(network(), images, every=1, writer=writer).update(0)
    assert any(path.stat().st_size > 200 for path in tmp_path.iterdir())


def test_batches_that_add_up_to_one_step_of_lightning_are_measured_once(
    images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightning", ModuleType("lightning"))
    monkeypatch.setitem(sys.modules, "lightning.pytorch", SimpleNamespace(Callback=object))
    tracker = cnfa.Tracker(network(), images, every=2)
    asked: list[int] = []
    monkeypatch.setattr(tracker, "update", asked.append)
    callback = cnfa.lightning_callback(tracker)
    callback.on_train_start(SimpleNamespace(is_global_zero=True, global_step=0), None)
    for batch in range(6):
        trainer = SimpleNamespace(is_global_zero=True, global_step=(batch + 1) // 3)
        callback.on_train_batch_end(trainer, None)
    assert asked == [0, 1, 2]


@pytest.mark.skipif(not importlib.util.find_spec("lightning"), reason="lightning is not installed")
@pytest.mark.filterwarnings("ignore")
def test_lightning_trains_with_the_tracker(images: Tensor, tmp_path: Path) -> None:
    from lightning.pytorch import LightningModule, Trainer

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = network()

        def training_step(self, batch: list[Tensor], _: int) -> Tensor:
            return self.network(batch[0]).square().sum()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), 0.1)

    module = Module()
    tracker = cnfa.Tracker(module.network, images, every=2, folder=tmp_path / "track")
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images), batch_size=1)
    trainer = Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[cnfa.lightning_callback(tracker)],
    )
    trainer.fit(module, loader)
    assert [record["step"] for record in tracker.records] == [0, 2, 4]


ROWS = '"layers": [{"name": "0", "trained_pearson": 0.5}]'


@pytest.mark.parametrize(
    "line",
    ["[]", "null", "3", "{", "", "{}", '{"step": 1}', f'{{"step": "a", {ROWS}}}', f'{{"step": 1, {ROWS}}}', "\udce9"],
)
def test_a_damaged_line_is_named_and_without_it_measuring_goes_on(line: str, images: Tensor, tmp_path: Path) -> None:
    model = network()
    train(model, cnfa.Tracker(model, images, every=1, folder=tmp_path), images, 0, 3)
    file = tmp_path / "track.jsonl"
    first, _, last = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first + line.encode(errors="surrogateescape") + b"\n" + last)
    with pytest.raises(InputError, match=r"Line 2 of .*track\.jsonl is damaged \(.*\)\. Delete it"):
        cnfa.Tracker(model, images, every=1, folder=tmp_path)
    file.write_bytes(first + last)
    tracker = cnfa.Tracker(model, images, every=1, folder=tmp_path)
    tracker.update(3)
    assert [record["step"] for record in tracker.records] == [0, 2, 3]


def test_a_record_of_another_number_than_was_measured_is_named(images: Tensor, tmp_path: Path) -> None:
    model = network()
    train(model, cnfa.Tracker(model, images, every=1, folder=tmp_path), images, 0, 2)
    file = tmp_path / "track.jsonl"
    file.write_text(file.read_text().replace('"step": 0', '"step": 9'))
    with pytest.raises(InputError, match=r"Line 1 of .* is damaged \(it does not say what was written\)"):
        cnfa.Tracker(model, images, every=1, folder=tmp_path)


def test_initial_weights_of_other_numbers_than_were_saved_are_refused(images: Tensor, tmp_path: Path) -> None:
    model = network()
    train(model, cnfa.Tracker(model, images, every=1, folder=tmp_path), images, 0, 1)
    file = tmp_path / "initial.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:])
    with pytest.raises(ModelFileError, match="it holds other numbers than were saved"):
        cnfa.Tracker(model, images, every=1, folder=tmp_path)


def test_a_network_in_an_attribute_called_module_goes_on_with_its_own_names(images: Tensor, tmp_path: Path) -> None:
    model = nn.Sequential()
    model.add_module("module", network())
    train(model, cnfa.Tracker(model, images, every=1, folder=tmp_path), images, 0, 1)
    again = cnfa.Tracker(model, images, every=1, folder=tmp_path)
    assert again.initial is not None
    assert again.initial.keys() == model.state_dict().keys()


def test_layers_named_like_formulas_are_texts_in_the_table(images: Tensor, tmp_path: Path) -> None:
    model = nn.Sequential()
    model.add_module("=cmd|' /C calc'!A0", nn.Conv2d(1, 2, 3))
    model.add_module("flat", nn.Flatten())
    model.add_module("+1", nn.Linear(8, 2))
    tracker = cnfa.Tracker(model, images, every=1)
    tracker.update(0)
    tracker.to_csv(tmp_path / "track.csv")
    with (tmp_path / "track.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["'=cmd|' /C calc'!A0", "+1"]
    assert float(rows[0]["trained_cosine"]) == tracker.records[0]["layers"][0]["trained_cosine"]


def test_wrong_trackers_are_named(images: Tensor, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="every must be a positive integer; got 0"):
        cnfa.Tracker(network(), images, every=0)
    (tmp_path / "initial.safetensors").write_bytes(b"junk")
    with pytest.raises(ModelFileError, match="does not hold a tracker's"):
        cnfa.Tracker(network(), images, every=1, folder=tmp_path)
