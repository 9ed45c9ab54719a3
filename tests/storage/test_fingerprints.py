"""A fingerprint tells data that were exchanged from those of before, wherever links lead."""

from pathlib import Path

from convrfm.storage.fingerprints import fingerprint


def test_what_lies_behind_links_counts_and_circles_end(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    for folder in (data / "cat", elsewhere):
        folder.mkdir(parents=True)
    (data / "cat" / "0.png").write_bytes(b"a cat")
    (data / "dog").symlink_to(elsewhere, target_is_directory=True)
    (elsewhere / "back").symlink_to(data, target_is_directory=True)
    before = fingerprint(data)
    assert fingerprint(data) == before
    (elsewhere / "0.png").write_bytes(b"a dog")
    with_dog = fingerprint(data)
    (elsewhere / "0.png").write_bytes(b"a wolf")
    assert len({before, with_dog, fingerprint(data)}) == 3


def test_what_is_left_out_is_so_behind_links_too(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "elsewhere" / "out"
    data.mkdir()
    out.mkdir(parents=True)
    (data / "link").symlink_to(out.parent, target_is_directory=True)
    before = fingerprint(data, without=[out])
    (out / "steps.jsonl").write_text("a step")
    assert fingerprint(data, without=[out]) == before
    assert fingerprint(data) != before
