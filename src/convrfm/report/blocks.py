"""What a section of a page is made of; each kind has its own form in page.html."""

import base64
import io
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

from matplotlib.figure import Figure

from ..plots import house_style

_SCREEN_DPI = 100
_SHARPNESS = 2
_NUMBER = re.compile(r"—|-?[\d.,]+(e[-+]?\d+)?%?( to -?[\d.]+)?")


@dataclass(frozen=True)
class Prose:
    """One paragraph; `lead` sets it larger."""

    kind: ClassVar[str] = "prose"
    text: str
    lead: bool = False


@dataclass(frozen=True)
class Callout:
    """Remarks beside the text, one paragraph each; `tone` is "note" or "warning"."""

    kind: ClassVar[str] = "callout"
    texts: Sequence[str]
    tone: str


@dataclass(frozen=True)
class Highlights:
    """A few numbers to see first: (value, what it is)."""

    kind: ClassVar[str] = "highlights"
    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Drawing:
    """A figure as a PNG inside the page; the PNG has twice its width and height in CSS pixels.

    `name` is that of its file where the pictures of the page are written as files; without one there is none.
    """

    kind: ClassVar[str] = "drawing"
    base64: str
    width: int
    height: int
    caption: str
    alt: str
    name: str | None = None


@dataclass(frozen=True)
class Table:
    """Rows of cells below a header; `marked_rows` are those to point out."""

    kind: ClassVar[str] = "table"
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    marked_rows: Collection[int]

    @property
    def numeric(self) -> tuple[bool, ...]:
        """For each column, whether it holds numbers only (aligned on the right), up to units and gaps."""
        return tuple(all(_NUMBER.fullmatch(cell) for cell in column) for column in zip(*self.rows, strict=True))


@dataclass(frozen=True)
class Settings:
    """Names and values."""

    kind: ClassVar[str] = "settings"
    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Code:
    """Text to copy as it is, such as a command."""

    kind: ClassVar[str] = "code"
    text: str


Block = Prose | Callout | Highlights | Drawing | Table | Settings | Code


def drawing(figure: Figure, caption: str, alt: str, name: str | None = None) -> Drawing:
    """Render a figure at twice the resolution of the screen; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with house_style():
        figure.savefig(buffer, format="png", dpi=_SHARPNESS * _SCREEN_DPI, metadata={"Software": None})
    width, height = (round(side * _SCREEN_DPI) for side in figure.get_size_inches())
    return Drawing(base64.b64encode(buffer.getvalue()).decode("ascii"), width, height, caption, alt, name)
