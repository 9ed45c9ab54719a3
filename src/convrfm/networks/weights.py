"""Weights of networks from files, into networks."""

import pickle
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..errors import InputError, ModelFileError
from ..storage.digests import digest
from ..storage.tensors import read_tensors, write_tensors

DIGEST = "convrfm-digest"  # in the header of what `write_weights` wrote
ZIP = b"PK\x03\x04"  # the first bytes of what torch.save writes
NAMES_SHOWN = 3
COUNTERS = "num_batches_tracked"  # of batch norms, which older files lack and nothing needs
LEVELS = 3  # of keys in a file above the weights


def write_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write a state dict as safetensors with its digest.

    Raises:
        InputError: As `storage.atomic.written_whole`.
    """
    write_tensors(path, weights, {DIGEST: digest({}, weights)})


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file under their own names.

    Raises:
        OSError, SafetensorError: If it is missing or none.
        ValueError: If it has a digest, and that is of other tensors.
    """
    texts, weights = read_tensors(path)
    if DIGEST in texts and texts[DIGEST] != digest({}, weights):
        raise ValueError("it holds other numbers than were saved.")
    return weights


def load_weights(path: str | Path, network: nn.Module | None = None) -> dict[str, Tensor]:
    """A state dict from `.safetensors`, or from a `.pt` or `.pth` file that holds tensors only.

    A file that needs code to be unpickled is refused. A state dict among other things is found under any key, if it is the
    only one. A turned bit is noticed where the file has a checksum: what `write_weights` and `torch.save` wrote. In other
    safetensors files the numbers are believed.

    Args:
        path: The file.
        network: Whose weights they are: names become its own, see `as_named_by`. Without it the prefix `module.` of
            data-parallel networks is dropped.

    Raises:
        ModelFileError: If the file is missing, damaged or unsafe, or holds no state dict, or several.
        InputError: If it holds the weights of several such networks.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"{path} cannot be read as weights: there is no such file.")
    try:
        data: Any = read_weights(path) if path.suffix == ".safetensors" else _of_torch(path)
    except pickle.UnpicklingError as error:
        raise ModelFileError(
            f"{path} is not a plain file of tensors: reading it could run code, so it is refused. "
            "If you trust its source, save its state dict: "
            f"torch.save(torch.load({str(path)!r}, weights_only=False).state_dict(), 'weights.pt'); of a checkpoint, "
            "such as ['state_dict'] in the place of .state_dict()."
        ) from error
    except Exception as error:  # what torch's own unpickler raises of damaged files has no bounds
        remedy = "Copy the file again."
        if "TorchScript" in str(error):
            remedy = f"Write its state_dict: torch.save(torch.jit.load({str(path)!r}).state_dict(), 'weights.pt')."
        raise ModelFileError(f"{path} cannot be read as weights: {_first_line(error)} {remedy}") from error
    weights = state_dict_in(data, path)
    if network is not None:
        return dict(as_named_by(network, weights, path))
    return {key.removeprefix("module."): value for key, value in weights.items()}


def as_named_by(network: nn.Module, weights: Mapping[str, Tensor], whose: str | Path) -> Mapping[str, Tensor]:
    """Weights under the network's own names, without what a wrapper put before them.

    That is what stands before a name for each of the network's; what has no such name then belongs to something else, as a
    loss or a count of averages, and is left out. If nothing stands before all, it is what stands before most, unless
    two names would become one.

    Args:
        network: Whose names they are.
        weights: By name.
        whose: What they are called in messages.

    Raises:
        InputError: If the weights of several such networks are there.
    """
    own = {name for name in network.state_dict() if not name.endswith(COUNTERS)}
    named = Counter(prefix for name in weights for prefix, rest in _cuts(name) if rest in own)
    complete = [prefix for prefix, count in named.items() if count == len(own)]
    if not named or "" in complete:
        return weights
    if len(complete) > 1:
        first = complete[0]
        raise InputError(
            f"{whose} must hold the weights of one network; it holds those of {', '.join(complete[:NAMES_SHOWN])}. Keep what "
            f"is meant: {{k.removeprefix({first!r}): v for k, v in state_dict.items() if k.startswith({first!r})}}."
        )
    ((prefix, _),) = named.most_common(1)
    kept = [name for name in weights if name.startswith(prefix) or not complete]
    renamed = {name.removeprefix(prefix): weights[name] for name in kept}
    return renamed if len(renamed) == len(kept) else weights


def _cuts(name: str) -> Iterator[tuple[str, str]]:
    """A name as a prefix that ends in a dot, or none, and the rest."""
    for place in (0, *(place + 1 for place, sign in enumerate(name) if sign == ".")):
        yield name[:place], name[place:]


def state_dict_in(data: Any, whose: str | Path) -> Mapping[str, Tensor]:
    """The only one in what a file or an argument holds, alone or under keys.

    Raises:
        ModelFileError: If there is none, or several.
    """
    held = {"": data}
    for _ in range(1 + LEVELS):
        found = {place: value for place, value in held.items() if _is_state_dict(value)}
        if len(found) > 1:
            named = ", ".join([*found][:NAMES_SHOWN]) + ", ..." * (len(found) > NAMES_SHOWN)
            first = next(iter(found))
            raise ModelFileError(
                f"{whose} must hold one state dict; it holds {named}. "
                + (
                    f"Save the one that is meant: torch.save(torch.load({str(whose)!r}){first}, 'weights.pt')."
                    if isinstance(whose, Path)
                    else f"Take the one that is meant, such as {first}."
                )
            )
        if found:
            return next(iter(found.values()))
        outer = {place: value for place, value in held.items() if isinstance(value, Mapping)}
        held = {f"{place}[{key!r}]": value for place, inner in outer.items() for key, value in inner.items()}
    raise ModelFileError(f"{whose} must hold a state dict of tensors; it holds {type(data).__name__}.")


def _is_state_dict(data: Any) -> bool:
    return (
        isinstance(data, Mapping)
        and len(data) > 0
        and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in data.items())
    )


def _of_torch(path: Path) -> Any:
    with path.open("rb") as file:
        is_zip = file.read(len(ZIP)) == ZIP
    if is_zip:  # torch reads it without a look at its checksums
        with ZipFile(path) as parts:
            if (damaged := parts.testzip()) is not None:
                raise ValueError(
                    f"{damaged} in it holds other bytes than were saved, or torch was told to save it without checksums."
                )
    return torch.load(path, "cpu", weights_only=True)


def fill_with_weights(network: nn.Module, path: str | Path) -> None:
    """Load a file of weights into a network.

    Raises:
        ModelFileError: If the file is missing, damaged or unsafe, or a weight is not finite.
        InputError: If the weights are those of another network.
    """
    fill(network, load_weights(path, network), path)


def fill(network: nn.Module, weights: Mapping[str, Tensor], path: str | Path) -> None:
    """Load the weights of a file into a network.

    Raises:
        ModelFileError: If a weight is not finite.
        InputError: If the weights are those of another network.
    """
    own = network.state_dict()
    differing = [
        (f"{kind}: {len(names)} ({', '.join(names[:NAMES_SHOWN])}{', ...' * (len(names) > NAMES_SHOWN)})")
        for kind, names in (
            ("missing", [name for name in own if name not in weights and not name.endswith(COUNTERS)]),
            ("unknown", [name for name in weights if name not in own]),
            ("of another shape", [name for name in own if name in weights and not _fits(own[name], weights[name])]),
        )
        if names
    ]
    if differing:
        raise InputError(
            f"{path} must hold the {len(own)} weights of this network; {'; '.join(differing)}. Name the network that it was "
            "saved from, with as many classes."
        )
    unsound = [name for name, value in weights.items() if not torch.isfinite(value).all()]
    if unsound:
        raise ModelFileError(
            f"{path} holds NaN or infinity in {', '.join(unsound[:NAMES_SHOWN])}. Its training diverged, or it is damaged."
        )
    network.load_state_dict({name: weights.get(name, value) for name, value in own.items()})


def _fits(own: Tensor, weight: Tensor) -> bool:
    """Whether a weight has the shape of the network's; one of a lazy network, which has not run yet, takes any."""
    return is_lazy(own) or own.shape == weight.shape


def _first_line(error: BaseException) -> str:
    return f"{error}".partition("\n")[0] or type(error).__name__
