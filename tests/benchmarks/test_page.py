"""The page of benchmarks is that of the results beside the code."""

import json

from benchmarks.__main__ import RESULTS
from benchmarks.page import PAGE, page_of


def test_the_page_is_that_of_its_results() -> None:
    assert PAGE.read_text() == page_of(json.loads(RESULTS.read_text()))
