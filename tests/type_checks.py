"""Runtime checks of the shapes and dtypes that the library's signatures promise, at every call that a test makes."""

import ast
import re
from pathlib import Path
from typing import ClassVar

from jaxtyping import _import_hook, install_import_hook


def check_arrays_of(package: Path) -> None:
    """From now on, what is imported from this folder checks its arrays. mypy checks all other types, before anything runs."""
    sources = {file: file.read_text(encoding="utf-8") for file in sorted(package.rglob("*.py"))}
    whole = "\n".join(sources.values())
    arrays = set(", ".join(re.findall(r"^from jaxtyping import (.+)$", whole, re.MULTILINE)).split(", "))
    arrays |= set(re.findall(rf"^(\w+) = .*\b(?:{'|'.join(arrays)})\[", whole, re.MULTILINE))
    files = [file for file, source in sources.items() if not arrays.isdisjoint(re.findall(r"\w+", source))]
    modules = [
        ".".join(file.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__") for file in files
    ]
    _SignaturesWithArrays.arrays = arrays
    _import_hook.JaxtypingTransformer = _SignaturesWithArrays
    install_import_hook(modules, "beartype.beartype")


class _SignaturesWithArrays(_import_hook.JaxtypingTransformer):
    """jaxtyping's, for signatures and fields with arrays only, and not for functions within functions.

    Those would be decorated anew whenever the outer one runs: with all of it, tests of small fits took twice as long.
    """

    arrays: ClassVar[set[str]]
    within_function = False

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:  # noqa: N802 - of ast
        given = node.args
        arguments = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
        if not self.within_function and self._are_arrays(
            node.returns, *(each and each.annotation for each in arguments)
        ):
            self.within_function = True
            super().visit_FunctionDef(node)
            self.within_function = False
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:  # noqa: N802 - of ast
        if self._are_arrays(*(line.annotation for line in node.body if isinstance(line, ast.AnnAssign))):
            return super().visit_ClassDef(node)
        self.generic_visit(node)
        return node

    def _are_arrays(self, *hints: ast.expr | None) -> bool:
        parts = (part for hint in hints if hint is not None for part in ast.walk(hint))
        return any(isinstance(part, ast.Name) and part.id in self.arrays for part in parts)
