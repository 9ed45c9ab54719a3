"""Data sets of torchvision, with its own parts for training, validation and testing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..optional import imported
from .folders import size_notes
from .memory import Growing
from .pictures import Picture, picture_array, resize
from .sources import Pictures, Reading, Source, positions
from .splits import Role

DEFAULT_ROOT = Path("~/.cache/convrfm/torchvision")


@dataclass(frozen=True)
class Edition:
    """What torchvision is asked for.

    Attributes:
        parts: The arguments of each part; without a test part some of the training images are held out.
        options: The arguments of all parts.
    """

    parts: Mapping[Role, Mapping[str, Any]]
    options: Mapping[str, Any] = field(default_factory=dict)


BY_FLAG = Edition({"train": {"train": True}, "test": {"train": False}})
BY_SPLIT = Edition({"train": {"split": "train"}, "test": {"split": "test"}})
THREE_PARTS = Edition({"train": {"split": "train"}, "validation": {"split": "val"}, "test": {"split": "test"}})
EDITIONS: Mapping[str, Edition] = {
    **dict.fromkeys(("CIFAR10", "CIFAR100", "FashionMNIST", "KMNIST", "MNIST", "QMNIST", "USPS"), BY_FLAG),
    **dict.fromkeys(("GTSRB", "STL10", "SVHN"), BY_SPLIT),
    **dict.fromkeys(("DTD", "PCAM"), THREE_PARTS),
    "Caltech101": Edition({"train": {}}),
    "EMNIST": Edition(BY_FLAG.parts, {"split": "letters"}),
    "FGVCAircraft": Edition(THREE_PARTS.parts, {"annotation_level": "manufacturer"}),
}
"""Aircraft by their 30 makers and letters of EMNIST, as the code published with the paper."""


def read_torchvision(name: str, reading: Reading) -> Source:
    """The pictures of one of torchvision's data sets.

    Raises:
        MissingDependencyError: If torchvision is not installed.
        InputError: If the name is unknown, or the files are absent and `download` is False, or cannot be had.
    """
    if name not in EDITIONS:
        raise InputError(f"torchvision:NAME must be one of {', '.join(sorted(EDITIONS))}; got {name}. Choose one.")
    edition = EDITIONS[name]
    dataset = getattr(imported("torchvision.datasets", "vision"), name)
    root = Path(reading.root or DEFAULT_ROOT).expanduser()
    try:
        found = {
            role: dataset(str(root), download=reading.download, **edition.options, **part)
            for role, part in edition.parts.items()
        }
    except (RuntimeError, OSError) as error:
        remedy = "Look at the connection." if reading.download else "Pass download=True."
        raise InputError(f"torchvision:{name} must lie in {root}; got: {error} {remedy}") from error
    parts = {role: _pictures(name, part, reading.image_size) for role, part in found.items()}
    return Source(parts["train"], parts.get("test"), parts.get("validation"))


def _pictures(name: str, dataset: Any, size: tuple[int, int] | None) -> Pictures:
    raw, labels = list[Picture](), list[int]()
    shapes: list[tuple[int, ...]] = []  # as they come
    growing = Growing(f"the {len(dataset)} pictures of torchvision:{name}")
    for image, label in (dataset[i] for i in range(len(dataset))):
        picture = picture_array(image)
        shapes.append(picture.shape)
        if size is not None:
            picture = resize(picture, size)  # at once: some sets are larger than memory as they come
        growing.check(picture, len(dataset) - len(raw))
        raw.append(picture)
        labels.append(label)
    notes = size_notes(f"torchvision:{name}", shapes, size)
    return Pictures(raw, np.array(labels), positions(len(raw)), white=255.0, notes=tuple(notes))
