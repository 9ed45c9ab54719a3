"""Free memory is that of the machine, or what a container leaves of its limit."""

from pathlib import Path

import pytest

from convrfm.kernels import devices


@pytest.mark.parametrize(
    ("limit", "free"), [("max", 8 << 20), ("3000000", 3_000_000 - 1_000_000 + 200_000), ("500000", 0), (None, 8 << 20)]
)
def test_the_limit_of_a_container_counts(
    limit: str | None, free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    8192 kB\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    (tmp_path / "memory.stat").write_text("anon 700000\ninactive_file 200000\n")
    if limit is not None:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
    monkeypatch.setattr(devices, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(devices, "CONTROL_GROUP", tmp_path)
    assert devices.free_memory() == free
