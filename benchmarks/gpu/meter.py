"""(e) The meter: every layer of ResNet-18 on images of 224 x 224."""

from collections.abc import Iterator
from functools import partial

import torch

from convrfm import cnfa
from convrfm.networks import load_network

from .clock import timed
from .session import Line, Session

PROBES = 16


def meter(session: Session) -> Iterator[Line]:
    """Random weights and images: the time does not depend on them."""
    network = load_network("torchvision:resnet18").to(session.device).eval()
    side, counts, probes = (32, (2,), 2) if session.tiny else (224, (16, 64, 256), PROBES)
    for n in counts:
        images = torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(0)).to(session.device)
        session.memory  # noqa: B018
        taken, report = timed(partial(cnfa.measure, network, images, probes=probes), session.device)
        yield {
            "name": f"ResNet-18, {n} images of {side} x {side}, {probes} probes",
            "seconds": taken,
            "layers": len(report.layers),
            "memory_gb": session.memory / 1e9,
        }
