import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from convrfm.errors import InputError
from convrfm.plots import plot_matrices, plot_spectrum
from convrfm.report import Page
from convrfm.report.page import Section

HOSTILE = "<script>alert('x')</script>\"><img src=https://evil.example/x onerror=alert(1)>&{{ 7*7 }}"


class Elements(HTMLParser):
    """Every element of a page with its attributes, and all its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in {"meta", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def full_page(text: str) -> Page:
    page = Page(text, text)
    for _ in range(3):
        section = page.section(text).prose(text).lead(text).note(text, text).warning(text).code(text)
        section.highlights([(text, text)]).settings({text: text})
        section.table([text, "n"], [[text, 1], [text, 2]], caption=text, marked_rows=[1])
    return page


def test_every_text_is_shown_letter_by_letter() -> None:
    elements = Elements(full_page(HOSTILE).render())
    assert elements.text.count(HOSTILE) == 3 + 3 * (1 + 15)
    assert not {tag for tag, _ in elements.found} & {"script", "img", "iframe", "link", "object"}


def test_remarks_that_are_none_are_not_shown() -> None:
    assert Section("Alone").note().warning().blocks == []


def test_page_refers_to_nothing_outside_itself() -> None:
    page = full_page("words")
    page.section("Picture").figure(plot_spectrum(np.eye(4)), caption="c", alt=HOSTILE)
    html = page.render()
    elements = Elements(html)
    assert not elements.open
    for _, attributes in elements.found:
        for name in {"src", "href", "srcset", "action", "data"} & attributes.keys():
            assert re.match(r"data:image/png;base64,|#section-\d+$", attributes[name] or "")
    style = html.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_links_lead_to_sections_and_ids_are_unique() -> None:
    elements = Elements(full_page("words").render())
    ids = [a["id"] for _, a in elements.found if "id" in a]
    assert len(ids) == len(set(ids))
    targets = [a["href"] for tag, a in elements.found if tag == "a"]
    assert [f"#section-{i}" for i in (1, 2, 3)] == targets
    assert {a[name] for _, a in elements.found for name in a if name == "aria-labelledby"} <= set(ids)


def test_pictures_have_twice_the_pixels_of_the_screen_and_words_for_the_blind() -> None:
    page = Page("Pictures")
    page.section("One").figure(plot_matrices({"m": np.eye(2)}), caption="c", alt='an "identity"')
    ((_, image),) = [e for e in Elements(page.render()).found if e[0] == "img"]
    png = base64.b64decode((image["src"] or "").partition(",")[2])
    pixels = tuple(int.from_bytes(png[i : i + 4], "big") for i in (16, 20))
    assert pixels == pytest.approx((2 * int(image["width"] or 0), 2 * int(image["height"] or 0)), abs=2)
    assert image["alt"] == 'an "identity"'


def test_page_speaks_to_assistive_technology() -> None:
    found = Elements(full_page("words").render()).found
    assert ("html", {"lang": "en"}) in found
    assert all(a.get("scope") in {"col", "row"} for tag, a in found if tag == "th")
    assert [tag for tag, _ in found].count("h1") == 1


def test_columns_of_numbers_are_aligned_as_numbers() -> None:
    page = Page("Table")
    page.section("One").table(["name", "n", "range"], [["a", "1,000", "0.1 to 0.2"], ["b", "—", "3e-05"]], "c")
    classes = [a.get("class") for tag, a in Elements(page.render()).found if tag in {"td", "th"}]
    assert classes == [None, "number", "number"] * 3


def test_same_page_gives_the_same_bytes() -> None:
    def build() -> str:
        page = Page("Twice")
        page.section("One").figure(plot_spectrum(np.diag([2.0, 1.0])), caption="c", alt="a")
        return page.render()

    assert build() == build()


def test_write_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.html"
    Page("First").write(path)
    assert Page("Second").write(path) == path
    assert "<h1>Second</h1>" in path.read_text(encoding="utf-8")
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Page("First").write(tmp_path / "report.html")

    def full_disk(*_: object) -> Path:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(InputError, match="no space"):
        Page("Second").write(path)
    assert "<h1>First</h1>" in path.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [path]
