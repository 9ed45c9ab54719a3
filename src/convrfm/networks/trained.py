"""The folder of a training as a network that can be measured: what it is, its weights, and its true initial weights."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter
from torch import Tensor, nn

from ..errors import InputError, ModelFileError
from ..storage.atomic import write_json
from ..storage.digests import values_with_digest, with_digest
from .designs import Design
from .scaling import Scaling
from .training import INITIAL, TRAINED
from .weights import fill_with_weights, load_weights

CARD = "network.json"


@dataclass(frozen=True)
class NetworkCard:
    """What a trained network is.

    Attributes:
        design: From which it is built.
        image_shape: `(channels, height, width)`.
        n_classes: Number of outputs.
        scaling: From pixels from 0 to 1 to the images that it takes.
        data: What it was trained on.
    """

    design: Design
    image_shape: tuple[int, ...]
    n_classes: int
    scaling: Scaling
    data: str


class TrainedNetwork(NamedTuple):
    """A network with its trained weights, those it began with, and what it is."""

    network: nn.Module
    initial: Mapping[str, Tensor]
    card: NetworkCard


def write_card(folder: Path, card: NetworkCard) -> None:
    """Write it into the folder of a training, which is made if it is missing.

    Raises:
        InputError: If the folder is that of another network.
        ModelFileError: If the card in it is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if holds_training(folder) and (found := read_card(folder)) != card:
        raise InputError(
            f"{folder} holds a training of another network or of other data: {found.design} on {found.data}. Choose another "
            "folder."
        )
    write_json(folder / CARD, with_digest(asdict(card)))


def read_card(folder: Path) -> NetworkCard:
    """What the network of a training is.

    Raises:
        ModelFileError: If the folder is that of no training, or its card is damaged.
    """
    try:
        return TypeAdapter(NetworkCard).validate_python(values_with_digest((folder / CARD).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ModelFileError(
            f"{folder} does not hold a trained network ({CARD}): {error}. Copy it again, or train anew with --overwrite."
        ) from error


def holds_training(folder: Path) -> bool:
    """Whether a folder is that of a training, finished or not."""
    return (folder / CARD).is_file()


def load_trained(folder: Path) -> TrainedNetwork:
    """The network of a finished training.

    Raises:
        ModelFileError: If the folder holds none, or something in it is damaged.
        InputError: If weights and description do not fit together.
    """
    card = read_card(folder)
    if not (folder / TRAINED).is_file():
        raise ModelFileError(f"the training in {folder} is not finished. Repeat its command, which goes on with it.")
    network = card.design.build(card.image_shape, card.n_classes, seed=0)
    fill_with_weights(network, folder / TRAINED)
    return TrainedNetwork(network, load_weights(folder / INITIAL), card)
