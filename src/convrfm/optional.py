"""Libraries that only some of convrfm needs."""

import importlib
from types import ModuleType

from .errors import MissingDependencyError


def imported(module: str, extra: str) -> ModuleType:
    """A module of an optional library, which one of convrfm's extras brings.

    Raises:
        MissingDependencyError: If it is not installed, or is and does not load, such as one that was built for another torch.
    """
    library = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(f'{library} is needed for this. Run: pip install "convrfm[{extra}]".') from error
    except Exception as error:  # what a library raises that was built for another one
        reason = f"{error}".partition("\n")[0] or type(error).__name__
        raise MissingDependencyError(
            f"{library} is installed, but does not load here ({reason}). Install {library} and torch again, from one "
            "source and in versions that belong together."
        ) from error
