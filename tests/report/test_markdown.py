"""Markdown shows what the page shows, letter by letter."""

import numpy as np

from convrfm.plots import plot_levels
from convrfm.report import Page
from convrfm.report.markdown import markdown_page, markdown_table


def test_cells_cannot_break_the_table_or_become_markup() -> None:
    table = markdown_table(("a|b", "c"), [("x|y", "*z*"), ("two\nlines", "<script>")])
    assert table.splitlines() == [r"| a\|b | c |", "|---|---|", r"| x\|y | \*z\* |", r"| two lines | \<script> |"]


def test_rows_lead_to_files_by_their_first_cell() -> None:
    rows = [("one", "two"), ("two", "one")]
    table = markdown_table(("a", "b"), rows, marked_rows=[0], links={"one": "one/page.md"})
    assert table.splitlines()[2:] == ["| **[one](one/page.md)** | **two** |", "| two | one |"]


def test_names_keep_their_underscores() -> None:
    assert markdown_table(("n_train",), [("agop_samples_",)]).splitlines()[2] == r"| agop_samples\_ |"


def test_a_page_keeps_its_order_and_every_block() -> None:
    page = Page("Title", "below it")
    axes = plot_levels((1.0, 2.0), {"a": np.array([[0.1, 0.2], [0.3, 0.4]])}, xlabel="level")
    section = page.section("First").lead("Lead.").prose("Prose.").note("Note.", "More.").warning("Beware.")
    section.highlights([("94.8%", "accuracy")]).figure(axes, "Caption.", "What it shows.", name="levels")
    section.figure(axes, "Nameless.", "Not a file.").table(("a",), [(1,), (2,)], "Numbers.", marked_rows=[1])
    section.settings({"seed": 0}).code("convrfm demo")
    page.section("Second")
    assert (
        markdown_page(page)
        == """# Title

below it

## First

Lead.

Prose.

> Note.
>
> More.

> **Warning.** Beware.

- **94.8%** accuracy

![What it shows.](plots/levels.png)

*Caption.*

| a |
|---|
| 1 |
| **2** |

*Numbers.*

- seed: 0

```
convrfm demo
```

## Second
"""
    )
