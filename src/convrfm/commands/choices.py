"""What options choose from."""

from enum import StrEnum


class KernelName(StrEnum):
    """A kernel: two of the infinitely wide network, and radial ones of patches, Matern's with its smoothness."""

    NTK = "ntk"
    NNGP = "nngp"
    LAPLACE = "laplace"
    MATERN_3 = "matern1.5"
    MATERN_5 = "matern2.5"
    GAUSSIAN = "gaussian"

    @property
    def is_radial(self) -> bool:
        """Whether it compares patches by their distance, and is of no network."""
        return self not in (KernelName.NTK, KernelName.NNGP)


RADIAL_KERNELS = f"radial kernels (--kernel {', '.join(name for name in KernelName if name.is_radial)})"


class Network(StrEnum):
    """The network whose kernel ntk and nngp are: what is averaged in front of its readout, or one of Myrtle."""

    VANILLA = "vanilla"
    AVERAGE = "average"
    GLOBAL = "global"
    MYRTLE_5 = "myrtle5"
    MYRTLE_7 = "myrtle7"
    MYRTLE_10 = "myrtle10"

    @property
    def is_myrtle(self) -> bool:
        """Whether it has a depth and patches of its own."""
        return self in (Network.MYRTLE_5, Network.MYRTLE_7, Network.MYRTLE_10)


class SolverName(StrEnum):
    """How the regression is solved."""

    AUTO = "auto"
    EXACT = "exact"
    CG = "cg"
    FEATURES = "features"


class FirstFiltersName(StrEnum):
    """What the random filters of the first convolution are drawn from."""

    GAUSSIAN = "gaussian"
    PATCHES = "patches"


class PatchNormalizationName(StrEnum):
    """How patches are brought to one scale."""

    NONE = "none"
    CONTRAST = "contrast"


class InitialMetricName(StrEnum):
    """The patch metric of round 0."""

    IDENTITY = "identity"
    WHITENING = "whitening"


class AugmentationName(StrEnum):
    """Copies of training images that are fitted beside them."""

    FLIP = "flip"
    SHIFT = "shift"


class Unreadable(StrEnum):
    """What to do with a broken picture."""

    ERROR = "error"
    SKIP = "skip"


class Validation(StrEnum):
    """What becomes of a validation part."""

    SELECT = "select"
    TRAIN = "train"


class PixelScale(StrEnum):
    """What becomes of pixels from 0 to 1."""

    IMAGENET = "imagenet"
    NONE = "none"


class TilePrecision(StrEnum):
    """Of the entries of a kernel matrix on disk."""

    FLOAT32 = "float32"
    INT16 = "int16"
