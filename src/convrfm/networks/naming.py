"""Networks by name: `torchvision:NAME[@WEIGHTS]`, `timm:NAME`, `package.module:factory`."""

import importlib
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import urlparse

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..errors import InputError
from ..optional import imported

SEEDS_APART = (
    0x9E3779B9  # to a seed that no factory sets by chance; of each, the CPU's generator takes the lower 32 bits
)


class DrawnWeights(NamedTuple):
    """How many weights of a network are random, of how many, and whether its factory seeds torch: then that cannot be told."""

    drawn: int
    of: int
    seeded: bool = False


def load_network(name: str) -> nn.Module:
    """Build a network by name.

    Args:
        name: `torchvision:resnet18` (random weights), `torchvision:resnet18@IMAGENET1K_V1` (downloads and unpickles weights),
            `timm:mobilenetv3_small_050` (random weights), or `package.module:factory`: that module is imported, and the
            factory called without arguments, so that their code runs.

    Raises:
        InputError: If there is no such network, or it cannot be built.
        MissingDependencyError: If torchvision or timm is not installed.

    Example:
        >>> type(load_network("convrfm.networks:resnet20")).__name__
        'CifarResNet'
    """
    source, colon, rest = name.partition(":")
    if not colon or not rest or not source:
        raise InputError(
            f"network must be torchvision:NAME, timm:NAME, package.module:factory or a folder of convrfm train; got {name!r}."
        )
    if source == "torchvision":
        return _from_torchvision(rest)
    if source == "timm":
        return _from_timm(rest)
    return _from_factory(source, rest)


def drawn_weights(network: nn.Module, name: str) -> DrawnWeights:
    """How many weights of a network that was built by name are random.

    Of torchvision the name tells it; those of timm all are. Another factory is called again under another seed of torch:
    weights that are others then were drawn. One that sets torch's seed itself is named; one with a generator of its own
    cannot be told from one that reads a file, nor can one that works only once. Biases do not count, and what else begins as
    one number.
    """
    weights = {key: weight for key, weight in network.named_parameters() if _may_be_drawn(weight)}
    source, _, rest = name.partition(":")
    if source in ("torchvision", "timm"):
        trained = source == "torchvision" and "@" in rest
        return DrawnWeights(0 if trained else len(weights), len(weights))
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(other := (torch.initial_seed() + SEEDS_APART) % 2**63)
            again = dict(load_network(name).named_parameters())
            seeded = torch.initial_seed() != other
    except InputError:
        return DrawnWeights(0, len(weights))
    drawn = [key for key, weight in weights.items() if is_lazy(weight) or not _same(weight, again.get(key))]
    return DrawnWeights(len(drawn), len(weights), seeded)


def _may_be_drawn(weight: Tensor) -> bool:
    return is_lazy(weight) or (weight.ndim > 1 and weight.numel() > 1 and bool(weight.min() != weight.max()))


def _same(weight: Tensor, other: Tensor | None) -> bool:
    return other is not None and not is_lazy(other) and torch.equal(weight, other)


def _from_torchvision(name: str) -> nn.Module:
    models = imported("torchvision.models", "vision")
    architecture, at, weights = name.partition("@")
    if at and not weights:
        raise InputError(
            f"torchvision:{name} must name weights after @; got none. Pass torchvision:{name}DEFAULT, or "
            f"torchvision:{architecture} for random ones."
        )
    try:
        return models.get_model(architecture, weights=weights or None)
    except (ValueError, KeyError) as error:
        near = get_close_matches(architecture, models.list_models())
        remedy = f"Near matches: {', '.join(near)}." if near and architecture not in near else "Look at the name."
        raise InputError(
            f"torchvision has no network {name!r}: {_told(error)} {remedy}",
            in_python="torchvision.models.list_models() lists its names.",
        ) from error
    except OSError as error:
        raise InputError(f"the weights of {name!r} cannot be had: {_told(error)} Look at the connection.") from error
    except Exception as error:  # what torch raises of a damaged download has no bounds
        file = _downloaded(models, architecture, weights)
        raise InputError(
            f"{file} must hold the weights of {name!r}, whole: {_told(error)} Delete it if it is there, and repeat the "
            "command, which downloads it."
        ) from error


def _downloaded(models: ModuleType, architecture: str, weights: str) -> str:
    """The file to which torch downloads these weights; its folder where they are not known, such as those of a part."""
    folder = Path(torch.hub.get_dir(), "checkpoints")
    found = models.get_model_weights(architecture).__members__.get(weights.rpartition(".")[2])
    return f"a file in {folder}" if found is None else str(folder / Path(urlparse(found.url).path).name)


def _from_timm(name: str) -> nn.Module:
    timm = imported("timm", "vision")
    if not timm.is_model(name):
        raise InputError(f"timm has no network {name!r}; timm.list_models('*part*') lists its names.")
    return timm.create_model(name, pretrained=False)


def _from_factory(module: str, factory: str) -> nn.Module:
    build = _imported_factory(module, factory)
    try:
        network = build()
    except Exception as error:  # whatever another's code raises
        raise InputError(f"{module}:{factory}() must build a network; it raised {_told(error)}") from error
    if not isinstance(network, nn.Module):
        raise InputError(f"{module}:{factory} must return a torch.nn.Module; it returned {type(network).__name__}.")
    return network


def _imported_factory(module: str, factory: str) -> Any:
    try:
        return getattr(importlib.import_module(module), factory)
    except Exception as error:  # the module's own code runs
        absent = isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}.")
        remedy = _where_it_may_be(module) if absent else ""
        raise InputError(
            f"there is no {factory!r} in {module!r} to build a network from: {_told(error)}{remedy}"
        ) from error


def _where_it_may_be(module: str) -> str:
    """How Python finds a module that it did not find."""
    if module.endswith(".py"):
        return f" A module is named without .py, and with dots between folders: {'.'.join(Path(module).with_suffix('').parts)}."
    path = Path(*module.split("."))
    if Path(f"{path}.py").is_file() or path.is_dir():
        return f" {path} lies in this folder, which Python does not search: run PYTHONPATH=. convrfm ..."
    return f" Where a folder holds {path}.py, name it: PYTHONPATH=FOLDER convrfm ..."


def _told(error: BaseException) -> str:
    """An error in a line, as the end of a sentence."""
    first = f"{error}".partition("\n")[0].rstrip(".")
    return f"{type(error).__name__}: {first}."
