"""Pages and tables as Markdown, the one place that writes it."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from .blocks import Block, Callout, Code, Drawing, Highlights, Prose, Settings, Table
from .page import Page

NO_LINKS: Mapping[str, str] = MappingProxyType({})
_SPECIAL = re.compile(r"([\\`*<]|_(?=\W|$)|(?<=\W)_)")


def markdown_page(page: Page, pictures: str = "plots", links: Mapping[str, str] = NO_LINKS) -> str:
    """A page as Markdown: the same headings, texts, tables and pictures as its HTML.

    Args:
        page: the page.
        pictures: the folder beside it that `Page.write_pictures` wrote to; pictures without a name are left out.
        links: files that rows of tables lead to, by the first cell of the row.
    """
    parts = [f"# {plain(page.title)}"]
    parts += [plain(page.subtitle)] if page.subtitle else []
    for section in page.sections:
        parts.append(f"## {plain(section.heading)}")
        parts += [text for block in section.blocks if (text := _block(block, pictures, links))]
    return "\n\n".join(parts) + "\n"


def markdown_table(
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    marked_rows: Collection[int] = (),
    links: Mapping[str, str] = NO_LINKS,
) -> str:
    """A pipe table of plain texts; marked rows are bold, and first cells that are in `links` lead there.

    Example:
        >>> print(markdown_table(("round", "accuracy"), [(0, "77.95"), (1, "94.83")], marked_rows=[1]))
        | round | accuracy |
        |---|---|
        | 0 | 77.95 |
        | **1** | **94.83** |
    """
    lines = [_row([_cell(cell) for cell in header]), "|" + "---|" * len(header)]
    for number, row in enumerate(rows):
        cells = [_cell(cell) for cell in row]
        if row[0] in links:
            cells[0] = f"[{cells[0]}]({links[str(row[0])]})"
        lines.append(_row([f"**{cell}**" if number in marked_rows and cell else cell for cell in cells]))
    return "\n".join(lines)


def plain(text: str) -> str:
    """A text whose characters Markdown shows as they are."""
    return _SPECIAL.sub(r"\\\1", text)


def _cell(cell: object) -> str:
    return plain(str(cell)).replace("|", "\\|").replace("\n", " ")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _block(block: Block, pictures: str, links: Mapping[str, str]) -> str:
    match block:
        case Prose(text=text):
            return plain(text)
        case Callout(texts=texts, tone=tone):
            return "\n>\n".join(f"> {'**Warning.** ' if tone == 'warning' else ''}{plain(text)}" for text in texts)
        case Highlights(items=items):
            return "\n".join(f"- **{plain(value)}** {plain(what)}" for value, what in items)
        case Drawing(name=None):
            return ""
        case Drawing(alt=alt, name=name, caption=caption):
            return f"![{plain(alt)}]({pictures}/{name}.png)\n\n*{plain(caption)}*"
        case Table(header=header, rows=rows, caption=caption, marked_rows=marked):
            return f"{markdown_table(header, rows, marked, links)}\n\n*{plain(caption)}*"
        case Settings(items=items):
            return "\n".join(f"- {plain(name)}: {plain(value)}" for name, value in items)
        case Code(text=text):
            return f"```\n{text}\n```"
