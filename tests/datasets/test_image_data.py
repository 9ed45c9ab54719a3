"""`ImageData` says what it holds."""

from pathlib import Path

import numpy as np

from convrfm.datasets import load


def test_a_data_set_says_how_many_images_of_which_size_and_classes_it_holds(tmp_path: Path) -> None:
    shape = "(channels x height x width)"
    bars = load("bars", n_train=4, n_test=2)
    assert repr(bars) == f"<ImageData: 4 images to train, 2 to test, 1 x 16 x 32 {shape}, 2 classes: 0, 1>"
    x, y = np.random.default_rng(0).random((30, 3, 5, 6)), np.arange(30) % 10
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_val=x[:10], y_val=y[:10], x_test=x[:1], y_test=y[:1])
    assert load(tmp_path / "a.npz").summary == (
        f"30 images to train, 1 to test, 10 for validation, 3 x 5 x 6 {shape}, "
        "10 classes: 0, 1, 2, 3, 4, 5, 6, 7, and 2 more"
    )
