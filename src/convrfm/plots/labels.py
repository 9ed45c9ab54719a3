"""Names that come from users' files, made safe to draw."""

from functools import cache
from pathlib import Path

import matplotlib
from matplotlib.ft2font import FT2Font


@cache
def _drawable() -> frozenset[int]:
    font = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return frozenset(FT2Font(str(font)).get_charmap())


def drawable_name(name: object, number: int) -> str:
    """A name of any length in one line, as `drawn_label` has it: `#number` where the font lacks a letter."""
    text = " ".join(str(name).split())
    if not text or not text.isprintable() or any(ord(letter) not in _drawable() for letter in text):
        return f"#{number}"
    return text


def drawn_label(name: object, number: int, width: int = 16) -> str:
    """A name as it can stand beside an axis: one line, not too long, only letters that the font has.

    Draw it with `parse_math=False`, since a dollar sign in a name is only a dollar sign.

    Args:
        name: What to write; anything that has a `str`.
        number: The position of the name in its list, written as `#number` where the font lacks a letter.
        width: The greatest number of letters; a longer name loses its middle.

    Example:
        >>> drawn_label("a very long name of a class", 0)
        'a very l…a class'
        >>> drawn_label("猫", 3)
        '#3'
    """
    text = drawable_name(name, number)
    if len(text) <= width:
        return text
    head = width // 2
    return f"{text[:head].rstrip()}…{text[head + 1 - width :].lstrip()}"
