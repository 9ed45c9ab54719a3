"""Lines of plain values come back as they were written, and are named where they do not."""

from pathlib import Path

import pytest

from convrfm.errors import InputError
from convrfm.storage.lines import as_line, lines_from


def test_what_is_written_is_read_whatever_its_keys_and_numbers() -> None:
    values = {"by number": {10: 0.1, 2: 1e-300}, "pair": (1, None), "猫": True}
    (read,) = lines_from(as_line(values).encode(), Path("steps.jsonl"), "Delete it.")
    assert read == {"by number": {"10": 0.1, "2": 1e-300}, "pair": [1, None], "猫": True}


@pytest.mark.parametrize(
    "damage", [('"step": 3', '"step": 8'), (', "digest"', ', "digist"'), ("{", "["), ("0.5", "NaN"), ("step", "stop")]
)
def test_a_line_that_says_something_else_is_named(damage: tuple[str, str]) -> None:
    whole = as_line({"step": 3, "score": 0.5})
    assert len(lines_from((whole + whole).encode(), Path("steps.jsonl"), "")) == 2
    with pytest.raises(InputError, match=r"Line 2 of steps\.jsonl is damaged \(.*\)\. Delete it\."):
        lines_from((whole + whole.replace(*damage, 1)).encode(), Path("steps.jsonl"), "Delete it.")


def test_numbers_that_are_not_finite_are_not_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        as_line({"score": float("nan")})
