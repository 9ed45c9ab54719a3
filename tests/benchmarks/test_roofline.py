import pytest

from benchmarks.roofline import placed

PEAKS = {"arithmetic": 4.0, "matrix products": 8.0, "cache": 2.0, "memory": 1.0}


def test_a_case_at_the_peaks_reaches_its_whole_roof() -> None:
    asked = {"engine_operations": 4.0, "product_operations": 16.0, "cache_bytes": 3.0, "memory_bytes": 0.5}
    found = placed(asked, PEAKS, seconds=3.0)
    assert found["roof"] == "arithmetic"
    assert found["fractions"] == pytest.approx({"arithmetic": 1.0, "cache": 0.5, "memory": 0.5 / 3})


def test_the_longest_of_the_bounds_is_the_roof() -> None:
    asked = {"engine_operations": 4.0, "product_operations": 0.0, "cache_bytes": 3.0, "memory_bytes": 5.0}
    assert placed(asked, PEAKS, seconds=10.0)["roof"] == "memory"
