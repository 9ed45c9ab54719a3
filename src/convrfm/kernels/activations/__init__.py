"""One activation, one file: phi, its dual, the adjoint of the dual, and compiled formulas where the cpu engine serves it.

`ACTIVATIONS` is the one list: layers, files and engines are told from it.
"""

from .abrelu import ABReLU
from .activation import Activation
from .erf import Erf
from .gelu import GELU
from .leaky_relu import LeakyReLU
from .rbf import Rbf
from .relu import ReLU
from .sin import Sin

ACTIVATIONS: tuple[type[Activation], ...] = (ABReLU, Erf, GELU, LeakyReLU, Rbf, ReLU, Sin)

__all__ = [activation.__name__ for activation in ACTIVATIONS]
