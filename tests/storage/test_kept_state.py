"""The state of a computation is believed only where it is whole and of the same computation."""

from pathlib import Path

import pytest
import torch

from convrfm.storage.kept_state import read_state, write_state

STATE = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(7)}


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    write_state(tmp_path / "state", STATE, "one")
    found = read_state(tmp_path / "state", "one")
    assert found is not None
    assert all(torch.equal(found[name], tensor) for name, tensor in STATE.items())
    assert read_state(tmp_path / "state", "another") is None
    assert read_state(tmp_path / "nothing", "one") is None


@pytest.mark.parametrize("at", [-3, 0.5, 0.1])
def test_a_damaged_state_is_none(at: float, tmp_path: Path) -> None:
    write_state(tmp_path / "state", STATE, "one")
    content = bytearray((tmp_path / "state").read_bytes())
    content[at if isinstance(at, int) else int(at * len(content))] ^= 1
    (tmp_path / "state").write_bytes(content)
    assert read_state(tmp_path / "state", "one") is None
