"""Equal pictures with two labels, or on both sides of the split, are told of."""

from pathlib import Path

import numpy as np

from convrfm.datasets import load

PICTURES = np.random.default_rng(0).random((12, 5, 6))


def test_pictures_that_are_there_twice_are_told_of(tmp_path: Path) -> None:
    x, y = PICTURES[:8].copy(), np.arange(8) % 2
    x[3], x[4] = x[0], x[2]  # with another class, and with the same
    test, validation = PICTURES[8:].copy(), PICTURES[8:].copy()
    test[1], validation[2:] = x[5], x[6]
    validated = {"x_val": validation, "y_val": y[:4]}
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=test, y_test=y[:4], **validated)
    notes = load(str(tmp_path / "d.npz")).notes
    assert any("2 training images equal one of another class, such as " in note for note in notes)
    assert any("repeat one of the same class: 1. Leave-one-out" in note for note in notes)
    assert any("1 of the 4 test images equal a training image" in note for note in notes)
    assert any("2 of the 4 validation images equal a training image" in note for note in notes)
    np.savez(tmp_path / "e.npz", x_train=PICTURES[:8], y_train=y, x_test=PICTURES[8:], y_test=y[:4])
    assert not any("equal" in note or "repeat" in note for note in load(str(tmp_path / "e.npz")).notes)
