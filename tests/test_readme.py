"""What the README and the pages of the documentation show works."""

import re
from pathlib import Path

import pytest

from convrfm.cli import app
from convrfm.cnfa import calls

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("page", "blocks", "files"),
    [
        ("README.md", 2, ["digits.safetensors"]),
        ("docs/estimators.md", 17, []),
        ("docs/accuracy.md", 1, []),
        ("docs/from_neural_tangents.md", 5, []),
        ("docs/kernels.md", 4, []),
    ],
)
def test_the_python_of_a_page_runs(
    page: str, blocks: int, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.S)
    names: dict[str, object] = {}
    for block in found:
        exec(block, names)
    assert len(found) == blocks
    assert [path.name for path in tmp_path.iterdir()] == files


EXTENDING = re.split(r"^## ", (ROOT / "docs" / "extending.md").read_text(), flags=re.M)[1:]


@pytest.mark.parametrize("section", EXTENDING, ids=lambda section: section.splitlines()[0])
def test_the_code_of_every_door_runs(section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A section is a program of its own; what it registers does not outlive it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(app, "registered_commands", list(app.registered_commands))
    monkeypatch.setattr(calls, "READERS", dict(calls.READERS))
    blocks = re.findall(r"```python\n(.*?)```", section, re.S)
    assert blocks
    names: dict[str, object] = {"__name__": "extending"}
    for block in blocks:
        exec(block, names)


def test_every_link_within_the_documentation_leads_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"
