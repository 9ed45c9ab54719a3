"""Links to folders are followed, and end."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convrfm.datasets import load
from convrfm.datasets.walking import walk
from convrfm.errors import InputError


def fill(folder: Path, seed: int) -> Path:
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    for i in range(5):
        Image.fromarray(generator.integers(256, size=(4, 5), dtype=np.uint8)).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    for seed, name in enumerate(("cat", "dog", "bird")):
        fill(tmp_path / "pool" / name, seed)
    (tmp_path / "data").mkdir()
    return tmp_path / "pool"


@pytest.mark.parametrize("linked", [("cat", "dog", "bird"), ("dog",)])
def test_linked_class_folders_are_classes(pool: Path, linked: tuple[str, ...]) -> None:
    data = pool.parent / "data"
    for name in ("cat", "dog", "bird"):
        if name in linked:
            (data / name).symlink_to(pool / name)
        else:
            (pool / name).rename(data / name)
    loaded = load(data)
    assert loaded.classes == ("bird", "cat", "dog")
    assert len(loaded.x_train) + len(loaded.x_test) == 15
    assert loaded.notes == ("A stratified fifth of the 15 images was held out for testing.",)


def test_linked_parts_and_linked_pictures_are_read(pool: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "test" / "cat").mkdir(parents=True)
    (data / "test" / "cat" / "a.png").symlink_to(pool / "cat" / "0.png")
    (data / "train").symlink_to(pool)
    loaded = load(data)
    assert (len(loaded.x_train), loaded.names_test) == (15, ("cat/a.png",))


def test_links_in_a_circle_are_walked_once_and_named(pool: Path) -> None:
    (pool / "cat" / "up").symlink_to(pool)
    (pool / "dog" / "self").symlink_to(pool / "dog" / "self")
    (pool / "dog" / "gone").symlink_to(pool / "nowhere")
    loaded = load(pool)
    assert len(loaded.x_train) + len(loaded.x_test) == 15
    notes = " ".join(loaded.notes)
    assert "read already: cat/up" in notes
    assert "lead nowhere: dog/gone, dog/self" in notes


def test_a_class_folder_that_is_linked_twice_is_told_of_once(pool: Path) -> None:
    (pool / "dog2").symlink_to(pool / "dog")
    loaded = load(pool)
    assert loaded.classes == ("bird", "cat", "dog")
    assert loaded.notes[0] == f"Left out of {pool}, links to folders that were read already: dog2."
    assert not any("dog2" in note for note in loaded.notes[1:])


def test_folders_under_each_other_do_not_multiply(tmp_path: Path) -> None:
    folders = [fill(tmp_path / "data" / name, i) for i, name in enumerate("abcdefgh")]
    for folder in folders:
        for other in folders:
            if other != folder:
                (folder / other.name).symlink_to(other)
    loaded = load(tmp_path / "data")
    assert len(loaded.x_train) + len(loaded.x_test) == 40
    assert len(loaded.classes) == 8


def test_a_folder_of_links_to_nothing_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "cat").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="got none"):
        load(tmp_path)


def test_a_folder_that_may_not_be_read_is_named_and_stops_nothing(
    pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pool / "lost+found").mkdir()
    listed = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        if path.name == "lost+found":
            raise PermissionError(path)
        return listed(path)

    found = walk(pool)
    monkeypatch.setattr(Path, "iterdir", iterdir)
    closed = walk(pool)
    assert (closed.files, [path.name for path in closed.closed]) == (found.files, ["lost+found"])
    assert load(pool).notes[0] == f"Left out of {pool}, folders that may not be read: lost+found."
    assert "lost+found" not in " ".join(load(pool).notes[1:])
