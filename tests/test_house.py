"""Imports run downward only, so that the folder list reads like the theory."""

import ast
import functools
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError

import convrfm
from convrfm.cli import app
from convrfm.experiments.catalogue import EXPERIMENTS
from convrfm.kernels.activations import ACTIVATIONS, Activation
from convrfm.maths.random_filters import RandomFeatures
from convrfm.maths.singular import Root
from convrfm.maths.symmetric import mirrored
from convrfm.maths.windows import Window

SOURCE = Path(convrfm.__file__).parent
FLOORS = [
    {"__main__"},
    {"cli"},
    {"commands"},
    {"experiments"},
    {"report"},
    {"estimators", "cnfa"},
    {"plots"},
    {"networks"},
    {"datasets", "solvers", "storage"},
    {"kernels"},
    {"maths"},
    {"workers"},
    {"optional"},
    {"announcements", "errors", "quantities"},
]
INSIDE = {  # the rooms of rooms, the highest first; files stand between them wherever nothing turns in a circle
    "kernels": ["features", "engines", "recursion", "activations", "lanes"],
    "kernels/engines": ["cpu"],
    "kernels/engines/cpu": ["pooled", "flat"],
    "estimators": ["kept", "ahead", "learning", "solving", "given"],
}
HEIGHT = {room: len(FLOORS) - depth for depth, floor in enumerate(FLOORS) for room in floor}
FOLDERS = sorted({p.parent for p in SOURCE.rglob("*.py")})
COMPILED = [SOURCE / "kernels" / room for room in ("engines/cpu", "lanes", "activations")]
MOST_PARAMETERS = 10
MODULES = sorted(p for p in SOURCE.rglob("*.py") if p != SOURCE / "__init__.py")
BANNED_NAMES = ("utils", "helpers", "misc", "common", "manager")
FOREIGN_TO_MATHS = {"rich", "tqdm", "typer", "pathlib", "io", "json", "safetensors", "matplotlib", "sklearn"}


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def room_of(module: str) -> str:
    return module.split(".")[1]


def imported_modules(path: Path) -> Iterator[str]:
    package = ["convrfm", *path.relative_to(SOURCE).parts[:-1]]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            if node.module == "convrfm":
                yield from (f"convrfm.{alias.name}" for alias in node.names)
            else:
                yield node.module or ""
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from (".".join([*base, name]) for name in names)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_run_downward_only(path: Path) -> None:
    room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    assert room in HEIGHT, f"{room} has no floor in the house"
    for module in imported_modules(path):
        if module.split(".")[0] == "convrfm" and module.count("."):
            other = room_of(module)
            assert other == room or HEIGHT[other] < HEIGHT[room], f"{room} may not import {module}"


def imports_between_neighbors(folder: Path) -> dict[str, set[str]]:
    """For each file or room of a folder, which of the others it imports; "__init__" is the folder itself."""
    prefix = ["convrfm", *folder.relative_to(SOURCE).parts]
    neighbors: dict[str, set[str]] = {}
    for path in folder.rglob("*.py"):
        name = path.relative_to(folder).parts[0].removesuffix(".py")
        imported = neighbors.setdefault(name, set())
        for module in imported_modules(path):
            parts = module.split(".")
            if parts[: len(prefix)] == prefix:
                other = parts[len(prefix)] if len(parts) > len(prefix) else "__init__"
                known = (folder / other).is_dir() or (folder / f"{other}.py").exists()
                imported |= {other if known else "__init__"} - {name}
    return neighbors


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_turn_in_no_circle_at_any_depth(folder: Path) -> None:
    tuple(
        TopologicalSorter(imports_between_neighbors(folder)).static_order()
    )  # raises CycleError, which shows the circle


@pytest.mark.parametrize("folder", INSIDE)
def test_rooms_of_rooms_have_their_order(folder: str) -> None:
    neighbors = imports_between_neighbors(SOURCE / folder)
    for place, room in enumerate(INSIDE[folder]):
        assert not neighbors[room] & set(INSIDE[folder][:place])


@pytest.mark.parametrize(
    "path", [p for room in COMPILED for p in sorted(room.rglob("*.py"))], ids=lambda p: str(p.relative_to(SOURCE))
)
def test_no_function_of_the_compiled_engine_takes_more_than_ten_parameters(path: Path) -> None:
    functions = [n for n in ast.walk(tree_of(path)) if isinstance(n, ast.FunctionDef)]
    taken = {f.name: len(f.args.posonlyargs) + len(f.args.args) + len(f.args.kwonlyargs) for f in functions}
    assert {name: count for name, count in taken.items() if count > MOST_PARAMETERS} == {}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_types_are_told_and_not_asserted_and_exceptions_have_a_reason_beside_them(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert not [line for line in lines if re.search(r"^\s*assert isinstance\(", line)]
    assert not [line for line in lines if re.search(r"type: ignore(\[[\w, -]*\])?\s*$", line)]


@pytest.mark.parametrize("path", sorted((SOURCE / "maths").rglob("*.py")), ids=lambda p: p.name)
def test_maths_knows_no_module_hook_file_or_progress_bar(path: Path) -> None:
    modules = set(imported_modules(path))
    assert not {m.split(".")[0] for m in modules} & FOREIGN_TO_MATHS
    assert "nn.Module" not in path.read_text()


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_names_say_what_is_inside(path: Path) -> None:
    assert path.stem not in BANNED_NAMES
    functions = [n.name for n in ast.walk(tree_of(path)) if isinstance(n, ast.FunctionDef)]
    scikit_learn_protocol = {"get_feature_names_out", "get_params"}
    assert not [f for f in functions if f.startswith("get_") and f not in scikit_learn_protocol]


def files_that_name(module: str) -> set[Path]:
    """Source files that import it."""
    return {path for path in MODULES if module in brought_in(path)}


@functools.cache
def brought_in(path: Path) -> frozenset[str]:
    return frozenset(imported_modules(path)) | frozenset(imported_names(path))


def imported_names(path: Path) -> Iterator[str]:
    """What `from . import name` brings, as modules."""
    package = ["convrfm", *path.relative_to(SOURCE).parts[:-1]]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) - node.level + 1], *([node.module] if node.module else [])]
            yield from (".".join([*base, alias.name]) for alias in node.names)


@pytest.mark.parametrize("name", sorted(EXPERIMENTS))
def test_an_experiment_is_one_module_and_one_line_of_the_catalogue(name: str) -> None:
    module = f"convrfm.experiments.{name.replace('-', '_')}"
    named_in = {path.relative_to(SOURCE / "experiments").parts[0] for path in files_that_name(module)}
    own = module.rsplit(".", 1)[1]
    assert named_in - {own} == {"catalogue.py"}


@pytest.mark.parametrize("command", [command.callback.__name__ for command in app.registered_commands])
def test_a_command_is_one_module_and_its_options(command: str) -> None:
    named_in = {str(path.relative_to(SOURCE)) for path in files_that_name(f"convrfm.commands.{command}")}
    assert named_in == {f"cli/{command}.py"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_text_in_files_has_an_encoding(path: Path) -> None:
    """Whatever code page a machine speaks, files are UTF-8."""
    for call in (node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)):
        if not isinstance(call.func, ast.Attribute) or call.func.attr not in ("read_text", "write_text", "open"):
            continue
        modes = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
        binary = any(isinstance(mode, str) and "b" in mode for mode in modes)
        ours = (
            call.func.attr == "write_text" and isinstance(call.func.value, ast.Name) and call.func.value.id == "atomic"
        )
        of_pillow = isinstance(call.func.value, ast.Name) and call.func.value.id in ("Image", "archive")
        assert binary or ours or of_pillow or any(word.arg == "encoding" for word in call.keywords), ast.unparse(call)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda activation: activation.__name__)
def test_an_activation_is_one_module_and_one_line_of_the_list(activation: type[Activation]) -> None:
    named_in = {str(path.relative_to(SOURCE)) for path in files_that_name(activation.__module__)}
    assert named_in == {"kernels/activations/__init__.py"}


def test_shapes_are_checked_as_tests_run() -> None:
    """By the hook that `conftest.py` installs, in signatures, fields and under other names; without it no test would fail."""
    window = Window(2)
    with pytest.raises(TypeCheckError):
        mirrored(torch.zeros(2, 3))
    with pytest.raises(TypeCheckError):
        RandomFeatures(torch.zeros(2), window, "relu")
    with pytest.raises(TypeCheckError):
        Root.forward(torch.zeros(2, dtype=torch.int64))
