"""The one family of exceptions: each says what was expected, what came, and the remedy."""


class ConvRFMError(Exception):
    """Base of every error that convrfm raises on purpose.

    Args:
        sentence: What was expected, what came, and the remedy.
        in_python: What else helps who calls from Python, and is no option of the command line.
    """

    def __init__(self, sentence: str, *, in_python: str = "") -> None:
        super().__init__(f"{sentence} {in_python}".rstrip())
        self.sentence = sentence


class InputError(ConvRFMError, ValueError):
    """An argument, an array or a file of the user's does not have the form that is needed."""


class InputTypeError(InputError, TypeError):
    """Something in an array of the user's is of a type that cannot be made a number."""


class ModelFileError(ConvRFMError, ValueError):
    """A saved model is damaged, foreign, or of a format that this version does not read."""


class UnknownClassError(ModelFileError):
    """A saved model is made with a class that is not imported."""


class DamagedTileError(ConvRFMError, ValueError):
    """A tile of a kernel matrix on disk is missing, or is not what was written."""


class MissingDependencyError(ConvRFMError, ImportError):
    """An optional library is needed for what was asked; the message says how to install it."""


class InterruptedFitWarning(UserWarning):
    """Ctrl-C ended a fit, and the model keeps the rounds that it had."""
