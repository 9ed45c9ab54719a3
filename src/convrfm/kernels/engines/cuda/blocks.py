"""How a program cuts its work."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Blocks:
    """One way to cut.

    Attributes:
        rows: of a strip, at most.
        partners: images z that a program takes.
        lanes: pairs of images that a program takes.
        warps: of 32 threads.
    """

    rows: int
    partners: int
    lanes: int
    warps: int

    @property
    def constants(self) -> dict[str, int | bool]:
        """As the strip programs are launched with them."""
        return {
            "ROWS": self.rows, "PARTNERS": self.partners, "LANES": self.lanes,
            "num_warps": self.warps, "enable_fp_fusion": True,
        }  # fmt: skip

    def within(self, rows: int) -> "Blocks":
        """The same for a grid of so many rows, cut as evenly as can be."""
        return replace(self, rows=-(-rows // -(-rows // self.rows)))


@dataclass(frozen=True)
class Cuts:
    """How each program cuts.

    Attributes:
        forward: where several layers, or the last, are walked at once.
        step: where one layer is.
        backward: the adjoint of one.
    """

    forward: Blocks
    step: Blocks
    backward: Blocks


MEASURED = Cuts(Blocks(9, 64, 128, 4), Blocks(9, 64, 256, 4), Blocks(4, 64, 128, 4))  # on an H100
