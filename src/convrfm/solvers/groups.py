"""Images that are left out together."""

import torch
from jaxtyping import Int
from torch import Tensor


def members_by_size(groups: Int[Tensor, " m"] | None, m: int) -> list[Int[Tensor, "groups size"]]:
    """The places of every group's members, those of equally large groups as the rows of one matrix; None for m single ones."""
    if groups is None:
        return [torch.arange(m)[:, None]]
    members = groups.argsort(stable=True).split(groups.unique(return_counts=True)[1].tolist())
    sizes = {len(each) for each in members}
    return [torch.stack([each for each in members if len(each) == size]) for size in sorted(sizes)]
