"""One HTML file that holds everything it shows."""

import base64
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..storage.atomic import write_text, written_whole
from .blocks import Block, Callout, Code, Drawing, Highlights, Prose, Settings, Table, drawing

# Autoescape is on because class names, file names and notes come from users' data.
_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("convrfm", "report"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)


@dataclass
class Section:
    """A heading and what stands below it. Every method appends one block and gives the section back.

    All texts are plain text: whatever they hold is shown letter by letter.
    """

    heading: str
    blocks: list[Block] = field(default_factory=list)

    def prose(self, text: str) -> "Section":
        """A paragraph."""
        return self._with(Prose(text))

    def lead(self, text: str) -> "Section":
        """A paragraph in larger type, for the sentence that matters most."""
        return self._with(Prose(text, lead=True))

    def note(self, *texts: str) -> "Section":
        """Remarks that help to read what stands beside them; nothing where there are none."""
        return self._with(Callout(texts, "note")) if texts else self

    def warning(self, *texts: str) -> "Section":
        """Remarks that the reader must not miss; nothing where there are none."""
        return self._with(Callout(texts, "warning")) if texts else self

    def highlights(self, items: Iterable[tuple[str, str]]) -> "Section":
        """A row of large numbers: (value, what it is)."""
        return self._with(Highlights(tuple(items)))

    def figure(self, drawn: Figure | Axes, caption: str, alt: str, name: str | None = None) -> "Section":
        """A picture with its caption, and `alt`: what it shows, for those who cannot see it.

        `name` is that of its file, for `Page.write_pictures`.
        """
        figure = drawn.get_figure(root=True) if isinstance(drawn, Axes) else drawn
        assert figure is not None
        return self._with(drawing(figure, caption, alt, name))

    def table(
        self,
        header: Sequence[str],
        rows: Iterable[Sequence[object]],
        caption: str,
        marked_rows: Collection[int] = (),
    ) -> "Section":
        """A table; `marked_rows` are the indices of rows to point out. Cells are shown by `str`."""
        cells = tuple(tuple(str(cell) for cell in row) for row in rows)
        return self._with(Table(tuple(header), cells, caption, marked_rows))

    def settings(self, items: Mapping[str, object]) -> "Section":
        """Names and their values, shown by `str`; of several values one after the other."""
        return self._with(Settings(tuple((name, in_words(value)) for name, value in items.items())))

    def code(self, text: str) -> "Section":
        """A command or a file, to be copied as it is."""
        return self._with(Code(text))

    def _with(self, block: Block) -> "Section":
        self.blocks.append(block)
        return self


@dataclass
class Page:
    """A report: a title, a subtitle and sections.

    Example:
        >>> page = Page("Bars", "16 x 32 pixels")
        >>> _ = page.section("Result").prose("Accuracy rose from 54% to 98%.")
        >>> "<h1>Bars</h1>" in page.render()
        True
    """

    title: str
    subtitle: str = ""
    sections: list[Section] = field(default_factory=list)

    def section(self, heading: str) -> Section:
        """Begin a new section at the end of the page."""
        section = Section(heading)
        self.sections.append(section)
        return section

    def render(self) -> str:
        """The page as HTML. It refers to nothing outside itself and runs no scripts."""
        return _TEMPLATES.get_template("page.html").render(page=self)

    def write(self, path: str | Path) -> Path:
        """Write the page in one step: a reader sees the old file or the new one, never half of one.

        Missing folders on the way to `path` are made.

        Returns:
            The path that was written.
        """
        path = Path(path)
        html = self.render()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, html)
        return path

    def write_pictures(self, folder: Path) -> None:
        """Write every picture that has a name as `name.png` into a folder that exists."""
        for section in self.sections:
            for block in section.blocks:
                if isinstance(block, Drawing) and block.name is not None:
                    with written_whole(folder / f"{block.name}.png") as partial:
                        partial.write_bytes(base64.b64decode(block.base64))


def in_words(value: object) -> str:
    """A value of a setting: several one after the other, those that have names in brackets."""
    if isinstance(value, Mapping):
        return f"({'; '.join(f'{name} {in_words(each)}' for name, each in value.items())})"
    return ", ".join(map(in_words, value)) if isinstance(value, list | tuple) else str(value)
