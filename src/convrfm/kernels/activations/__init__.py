"""One activation, one file: phi, its dual, the adjoint of the dual, and compiled formulas where the cpu engine serves it.

`__all__` is the one list: layers, files and engines are told from it.
"""

from .abrelu import ABReLU
from .activation import Activation
from .erf import Erf
from .gelu import GELU
from .leaky_relu import LeakyReLU
from .rbf import Rbf
from .relu import ReLU
from .sin import Sin

__all__ = ["GELU", "ABReLU", "Erf", "LeakyReLU", "Rbf", "ReLU", "Sin"]

ACTIVATIONS: tuple[type[Activation], ...] = tuple(globals()[name] for name in __all__)
