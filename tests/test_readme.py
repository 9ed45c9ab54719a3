"""What the README and the pages of the documentation show works."""

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from convrfm.cli import app
from convrfm.cnfa import calls

ROOT = Path(__file__).parents[1]


@pytest.mark.usefixtures("stream_of_numpy")  # MAPIE draws from it
@pytest.mark.parametrize(
    ("page", "blocks", "files"),
    [
        ("README.md", 2, ["digits.safetensors"]),
        ("docs/estimators.md", 17, []),
        ("docs/accuracy.md", 1, []),
        ("docs/cnfa.md", 5, ["runs"]),
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


def test_the_script_of_many_machines_keeps_a_matrix_that_the_page_about_large_ones_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By this process in place of eight workers, which `tests/test_workers.py` has."""
    monkeypatch.chdir(tmp_path)
    for number in range(10):
        picture = tmp_path / "photos" / f"class-{number % 2}" / f"{number}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 36), (25 * number, 100, 200)).save(picture)
    script, reading = (
        re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.S)[0]
        for page in ("cluster.md", "large.md")
    )
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(script.replace("workers(8)", "workers(None)"), names)
    exec(reading, names)
    assert names["rows"].shape == (8, 8)
    assert names["rows"].isfinite().all()


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
        for target, anchor in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]+))?\)", page.read_text()):
            there = page.parent / target if target else page
            assert there.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors(there), f"{page.name}: {target}#{anchor}"


def anchors(page: Path) -> list[str]:
    """The names that headings have on a page, as code hosts make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
