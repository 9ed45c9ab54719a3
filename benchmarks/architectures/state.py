"""Which code measured a row: a digest of all that measures, which a docstring or a comment does not change."""

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"
MEASURES = "convrfm.cnfa.sweep"


def state_of_the_meter() -> str:
    """Of the module that sums gradients and of every module of this package that it imports, at any depth."""
    digest = hashlib.sha256()
    for name, tree in sorted(_modules(MEASURES).items()):
        digest.update(f"{name}\n{ast.dump(tree)}\n".encode())
    return digest.hexdigest()[:8]


def _modules(first: str) -> dict[str, ast.Module]:
    found: dict[str, ast.Module] = {}
    waiting = [first]
    while waiting:
        name = waiting.pop()
        path = SOURCE / f"{name.replace('.', '/')}.py"
        if name not in found and path.exists():
            found[name] = _undocumented(ast.parse(path.read_text()))
            waiting += _imported(name, found[name])
    return found


def _imported(importing: str, tree: ast.Module) -> Iterator[str]:
    """What a module imports from this package, as all of it does by relative imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = ".".join([*importing.split(".")[: -node.level], *([node.module] if node.module else [])])
            yield from [above, *(f"{above}.{alias.name}" for alias in node.names)]


def _undocumented(tree: ast.Module) -> ast.Module:
    """The same without strings that nobody reads when it runs."""
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            kept = [each for each in body if not _is_string(each)]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
    return tree


def _is_string(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
