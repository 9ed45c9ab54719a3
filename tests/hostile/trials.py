"""Run the attempts of the corpus and keep what should not have happened."""

import random
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convrfm.errors import ConvRFMError

from .corpus import attempts


@dataclass(frozen=True)
class Outcome:
    """How often which kind of attempt was refused in words or gave right values, and what else happened."""

    counts: Counter[tuple[str, str]]
    faults: Sequence[str]


def run_trials(n: int, seed: int) -> Outcome:
    """`n` attempts, in turn of every kind; number i is made from seed + i alone."""
    counts: Counter[tuple[str, str]] = Counter()
    faults = []
    with tempfile.TemporaryDirectory() as shared, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kinds = attempts(Path(shared))
        for number in range(seed, seed + n):
            kind = kinds[number % len(kinds)]
            with tempfile.TemporaryDirectory() as folder:
                try:
                    kind(Path(folder), random.Random(number))
                    counts[kind.__name__, "right"] += 1
                except ConvRFMError:
                    counts[kind.__name__, "refused"] += 1
                except Exception:
                    counts[kind.__name__, "FAULT"] += 1
                    faults.append(f"{kind.__name__}, number {number}:\n{traceback.format_exc()}")
    return Outcome(counts, faults)
