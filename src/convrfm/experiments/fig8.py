"""SimpleNet (Fig. 8 of the paper), trained from small weights: its accuracy and the ansatz in every layer along training.

Before the first measurement the batch norms see some images: with the statistics that they begin with (mean 0, variance 1)
the signals behind filters of 1e-4 would be too small for floating point numbers. No weight changes by that.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from ..cnfa import Tracker, measure
from ..kernels.devices import chosen_device
from ..maths.intervals import wilson_interval
from ..networks import PROTOCOLS, Design, TrainingProtocol, train
from ..networks.protocols import Precision
from ..networks.simplenet import PUBLISHED_WIDTH
from ..networks.trained import NetworkCard, write_card
from ..plots import plot_correlations, plot_training
from ..report import Section
from .experiment import Experiment, Finding, Line, Run, Step, Verdict
from .layer_lines import LayerLine, higher, layer_lines, middle, or_dash, read_layers
from .scale import Scale
from .settings import refuse_others
from .training_images import WANTED, Draw, RealImages, real_images

SIZE = (32, 32)  # pixels: what images are brought to
SETTLING = 20  # batches that batch norms see before the first measurement
PUBLISHED = PROTOCOLS["adadelta"]
HEADER = (
    *(
        "data set",
        "width",
        "images",
        "epoch kept",
        "test accuracy, %",
        "best epoch by test",
        "CNFM and AGOP",
        "rotated",
    ),
    *("initial network", "initial CNFM", "higher", "rising", "above the control"),
)


@dataclass(frozen=True)
class Task:
    """A data set, the channels of SimpleNet's first convolution, and for how long it is trained on how many images."""

    data_set: str
    width: int
    epochs: int
    milestones: tuple[int, ...]
    n_train: int | None = None
    n_test: int | None = None


@dataclass(frozen=True)
class Fig8Settings:
    """What is trained, and on how many training images it is measured after every so many epochs."""

    tasks: tuple[Task, ...]
    dropout: float = 0.1
    precision: Precision = "float32"
    every: int = 1
    n_measured: int = 64

    def protocol(self, task: Task) -> TrainingProtocol:
        """As published, but for how long."""
        return replace(PUBLISHED, epochs=task.epochs, milestones=task.milestones, precision=self.precision)


def plan(run: Run[Fig8Settings]) -> Iterator[Step]:
    """A step for every training; within one, every epoch is kept.

    Raises:
        InputError: if a data set is named twice, whose trainings would lie in one folder.
    """
    names = [task.data_set for task in run.settings.tasks]
    refuse_others("data sets of tasks", names, dict.fromkeys(names))
    for task in run.settings.tasks:
        yield Step({"data_set": task.data_set, "width": task.width}, partial(trained, run, task))


def trained(run: Run[Fig8Settings], task: Task) -> Line:
    """Train one network under the eyes of a tracker, and measure the weights that are kept."""
    settings, folder = run.settings, run.files / task.data_set.replace(":", "-")
    images = real_images(
        task.data_set,
        run.data,
        Draw(task.n_train, task.n_test, None if run.data is None else SIZE),
        seed=run.seed,
        download=run.download,
    )
    design = Design("simplenet", width=task.width, dropout=settings.dropout)
    network = design.build(images.image_shape, images.n_classes, run.seed).to(chosen_device(run.device))
    settle(network, images)
    initial = {name: value.clone() for name, value in network.state_dict().items()}
    shown = images.parts.train.x[: settings.n_measured]
    tracker = Tracker(network, shown, settings.every, folder, seed=run.seed)
    write_card(folder, NetworkCard(design, images.image_shape, images.n_classes, images.scaling, task.data_set))
    told = train(network, images.parts, settings.protocol(task), seed=run.seed, folder=folder, watch=tracker.update)
    report = measure(network, shown, initial=initial, generator=torch.Generator().manual_seed(run.seed))
    names = [layer.name for layer in report.layers if not layer.final]
    return {
        "epochs": [asdict(epoch) for epoch in told.epochs],
        "kept": told.kept.epoch,
        "best_test_accuracy": told.best_test_accuracy,
        "n_train": len(images.parts.train.y),
        "n_test": len(images.parts.test.y) if images.parts.test else 0,
        "track": [
            {
                "epoch": record["step"],
                "pearson": [row["trained_pearson"] for row in record["layers"] if row["name"] in names],
            }
            for record in tracker.records
        ],
        "layers": layer_lines(report),
    }


@torch.no_grad()
def settle(network: nn.Module, images: RealImages) -> None:
    """Let batch norms see images; weights and torch's generator stay as they are."""
    x = images.parts.train.x[: SETTLING * PUBLISHED.batch_size]
    with torch.random.fork_rng():
        torch.manual_seed(0)  # of dropout
        update_bn(x.split(PUBLISHED.batch_size), network, next(network.parameters()).device)
    network.eval()


def conclude(run: Run[Fig8Settings], lines: Sequence[Line]) -> Finding:
    """Accuracies, and in every layer CNFM against AGOP beside initial against trained CNFM and the initial network."""
    rows, all_higher, all_rising, sections, told = [], list[bool | None](), list[bool | None](), [], []
    for task, line in zip(run.settings.tasks, lines, strict=True):
        layers = read_layers(line["layers"])
        kept = line["epochs"][line["kept"] - 1]
        accuracy = kept["test_accuracy"]
        low, high = wilson_interval(round(accuracy * line["n_test"]), line["n_test"])
        moved = [higher(layer.pearson, layer.fresh_cnfm) for layer in layers]
        rising = [higher(layer.pearson, layer.fresh) for layer in layers]
        all_higher += moved
        all_rising += rising
        rows.append(
            [
                *(task.data_set, task.width, f"{line['n_train']}", f"{line['kept']} of {len(line['epochs'])}"),
                f"{100 * accuracy:.1f} ({100 * low:.1f} to {100 * high:.1f})",
                f"{100 * line['best_test_accuracy']:.1f}",
                *(or_dash(middle(layers, name)) for name in ("pearson", "rotated", "fresh", "fresh_cnfm")),
                *(f"{of.count(True)} of {len(of)}" for of in (moved, rising)),
                [layer.clear for layer in layers].count(True),
            ]
        )
        told.append(f"{task.data_set} {100 * accuracy:.1f}%, {or_dash(middle(layers, 'pearson'), '.2f')}")
        sections.append(section(task, line, layers))
    return Finding(
        verdict=Verdict.of([*all_higher, *all_rising]),
        ours=f"the correlation is higher than that of initial and trained CNFM in {all_higher.count(True)} of "
        f"{len(all_higher)} convolutions, and than in the initial network in {all_rising.count(True)}. Test accuracy and "
        f"median correlation: {'; '.join(told)}. {changes(run.settings)}",
        header=HEADER,
        rows=rows,
        caption="Accuracy of the epoch that is best on held-out images, with Wilson's 95% interval; beside it the best of all "
        "epochs by test images, as the paper reports. Medians over convolutions of the Pearson correlation of CNFM and AGOP, "
        "of its rotation control, in the initial network, and of initial and trained CNFM. Higher: convolutions where the "
        "first is above the last; rising: above the initial network; above the control by more than two of its deviations. "
        "The batch norms of the initial network have seen some images.",
        sections=sections,
        numbers={"rows": rows},
    )


def changes(settings: Fig8Settings) -> str:
    """What is not as published, in a sentence."""
    widths, epochs = ({getattr(task, name) for task in settings.tasks} for name in ("width", "epochs"))
    told = [
        f"{what} {' or '.join(map(str, sorted(ours)))} for {published}"
        for what, ours, published in (
            ("first width", widths, PUBLISHED_WIDTH),
            ("epochs", epochs, PUBLISHED.epochs),
            ("dropout", {settings.dropout}, 0.1),
            ("precision", {settings.precision}, "float32"),
        )
        if ours != {published}
    ]
    if widths != {PUBLISHED_WIDTH}:
        told.append("filters of deviation 1e-4 sqrt(64 / width)")
    return f"Not as published: {', '.join(told)}." if told else "All as published."


def section(task: Task, line: Line, layers: Sequence[LayerLine]) -> Section:
    """The pictures of one data set."""
    name = task.data_set.lower().replace(":", "-")
    numbers = [str(number) for number in range(1, len(layers) + 1)]
    epochs = line["epochs"]
    curves = {
        "held-out images": np.array([epoch["held_out_accuracy"] for epoch in epochs]),
        "test images": np.array([epoch["test_accuracy"] for epoch in epochs]),
    }
    tracked = np.array([record["pearson"] for record in line["track"]], dtype=float)
    measured = [record["epoch"] for record in line["track"]]
    bars = {
        "CNFM and AGOP": np.array([layer.pearson for layer in layers]),
        "initial and trained CNFM": np.array([layer.fresh_cnfm for layer in layers]),
        "the first, in the initial network": np.array([layer.fresh for layer in layers]),
    }
    return (
        Section(task.data_set)
        .figure(
            plot_correlations(numbers, bars),
            caption="Pearson correlations by convolution, in forward order.",
            alt=f"Bars of {len(layers)} convolutions of SimpleNet on {task.data_set}.",
            name=f"{name}-layers",
        )
        .figure(
            plot_training(curves, measured, tracked, kept=line["kept"], quantity="correlation of CNFM and AGOP"),
            caption="Accuracies and the correlation in every convolution along training; the dotted epoch is kept.",
            alt=f"Curves along {len(epochs)} epochs on {task.data_set}.",
            name=f"{name}-training",
        )
    )


EXPERIMENT = Experiment(
    name="fig8",
    title="SimpleNet from small initial weights",
    claim="In convolutions of SimpleNets trained from small weights the CNFM correlates with the AGOP: more than the initial "
    "CNFM with the trained one, and more than in the initial network.",
    published="consistently high correlations on CIFAR-10, CIFAR-100, ImageNet32, SVHN and GTSRB, with the test accuracies of "
    "SimpleNet's authors, above 95% on CIFAR-10 (Fig. 8).",
    settings={
        Scale.SMOKE: Fig8Settings((Task("noisy-digits", 4, 3, (2,), 120, 60),), n_measured=8),
        Scale.LAPTOP: Fig8Settings(
            (
                Task("CIFAR-10", 16, 14, (10, 12), None, 5000),
                Task("GTSRB", 8, 8, (5, 7), 4000, 2000),
                Task("MNIST", 8, 8, (5, 7), 2000, 2000),
                Task("USPS", 8, 8, (5, 7), 2000, 2000),
                Task("PneumoniaMNIST", 8, 8, (5, 7)),
            ),
            dropout=0.0,
            precision="bfloat16",
            every=2,
        ),
        Scale.FULL: Fig8Settings(
            tuple(
                Task(name, 64, PUBLISHED.epochs, PUBLISHED.milestones)
                for name in ("CIFAR-10", "CIFAR-100", "SVHN", "GTSRB")
            ),
            every=20,
        ),
    },
    minutes={Scale.SMOKE: 0.2, Scale.LAPTOP: 60, Scale.FULL: 60000},
    plan=plan,
    conclude=conclude,
    data=WANTED,
)
