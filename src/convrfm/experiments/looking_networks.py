"""The networks that Figs. 2 and 12 look at photographs with, and which of their layers."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from .published_networks import SMALL, SUBJECTS, Subject, as_caffe, as_imagenet


@dataclass(frozen=True)
class Looked:
    """A network, how it takes pixels from 0 to 255, and the layers to look at."""

    subject: Subject
    scale: Callable[[Tensor], Tensor]
    layers: tuple[str, ...]


BY_TITLE = {subject.title: subject for subject in (*SUBJECTS, *SMALL)}
LOOKED = {
    "SqueezeNet 1.1": Looked(
        BY_TITLE["SqueezeNet 1.1, ImageNet"],
        as_caffe,
        ("features.0", "features.3.expand3x3", "features.6.expand3x3", "features.9.expand3x3", "features.12.expand3x3"),
    ),
    "MobileNetV2": Looked(
        BY_TITLE["MobileNetV2 features, ImageNet"],
        as_imagenet,
        ("0.0", "2.conv.0.0", "5.conv.0.0", "9.conv.0.0", "14.conv.0.0"),
    ),
    "ResNet-20 as it is drawn": Looked(SMALL[0], as_imagenet, ("conv1", "layer2.0.conv1")),
}
