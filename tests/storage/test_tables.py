"""Tables are texts and numbers, in UTF-8, and never programs."""

import csv
import os
from pathlib import Path

import pytest

from convrfm.storage.tables import write_table


def read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("name", ['=HYPERLINK("http://x")', "+1+1", "-2+3", "@SUM(A1)", "\tx", "\rx"])
def test_names_like_formulas_are_texts(tmp_path: Path, name: str) -> None:
    write_table(tmp_path / "a.csv", ["name", f"p {name}", name], [[name, 1, "-0.5"]])
    assert read(tmp_path / "a.csv") == [["name", f"p {name}", f"'{name}"], [f"'{name}", "1", "-0.5"]]


@pytest.mark.parametrize("cell", ["cat", "a,b", 'say "x"', "猫", "", "-1", "+2.5", "-1e-3", -3, 0.25, "two\nlines"])
def test_everything_else_is_itself(tmp_path: Path, cell: object) -> None:
    write_table(tmp_path / "a.csv", ["x"], [[cell, "end"]])
    assert read(tmp_path / "a.csv")[1] == [str(cell), "end"]


def test_names_that_are_not_utf8_are_spelled_out(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", ["x"], [[os.fsdecode(b"caf\xe9.png")]])
    assert read(tmp_path / "a.csv")[1] == ["caf\\udce9.png"]
