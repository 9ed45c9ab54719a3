import ast
import inspect
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from convrfm import plots
from convrfm.plots.labels import drawn_label

FILES = sorted(Path(inspect.getfile(plots)).parent.glob("*.py"))


def test_plots_import_no_pyplot() -> None:
    program = "import sys, convrfm.plots, convrfm.report; print('matplotlib.pyplot' in sys.modules)"
    paths = str(Path(inspect.getfile(plots)).parents[2])
    answer = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": paths}, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_no_file_names_pyplot(path: Path) -> None:
    assert not [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name) and n.id == "plt"]


def test_settings_of_the_process_are_left_alone_even_by_threads() -> None:
    before = dict(matplotlib.rcParams)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda d: plots.plot_spectrum(np.eye(d)), range(2, 10)))
    assert dict(matplotlib.rcParams) == before


def test_axes_of_the_caller_are_used() -> None:
    ax = Figure().subplots()
    assert plots.plot_spectrum(np.eye(3), ax=ax) is ax


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("cat", "cat"),
        (7, "7"),
        ("two\nlines", "two lines"),
        ("", "#4"),
        ("\u202e", "#4"),
        ("x" * 40, "x" * 8 + "…" + "x" * 7),
    ],
)
def test_a_drawn_label_is_one_short_line_of_known_letters(name: object, drawn: str) -> None:
    assert drawn_label(name, 4) == drawn
