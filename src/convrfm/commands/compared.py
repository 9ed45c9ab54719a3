"""What the models reached that one fit compared."""

from collections import defaultdict
from collections.abc import Sequence
from math import nan
from typing import Any, NamedTuple

from ..estimators.classification import Classifier
from ..report import CandidateRecord


class Compared(NamedTuple):
    """The models in the order of the fit, and the number of the kept one, from 0; none where there was only one."""

    records: list[CandidateRecord]
    chosen: int


def compared_models(model: Classifier, names: Sequence[str]) -> Compared:
    """What every model reached by the judge, from the lines of `history_`; the best is kept, of equals the first."""
    candidates: dict[int, dict[int, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for line in model.history_:
        if "candidate" in line:
            candidates[line["candidate"]][line.get("layer", 1)].append(line)
    records, ranks = [], []
    for number, layers in candidates.items():
        kept = [rounds[-1] if model.keep == "last" else max(rounds, key=_rank) for rounds in layers.values()]
        records.append(
            CandidateRecord(
                name=names[number - 1],
                held_out_score=kept[-1].get(f"{kept[-1]['judge']}_accuracy", nan),
                held_out_error=kept[-1][f"{kept[-1]['judge']}_error"],
                iterations=[line["iteration"] for line in kept],
                seconds=sum(line["seconds"] for rounds in layers.values() for line in rounds),
            )
        )
        ranks.append((*_rank(kept[-1])[:2], -number))
    return Compared(records, ranks.index(max(ranks)) if ranks else 0)


def _rank(line: dict[str, Any]) -> tuple[float, float, int]:
    """Accuracy, where there is one, then error, then the earlier round."""
    judge = line["judge"]
    return line.get(f"{judge}_accuracy", 0.0), -line[f"{judge}_error"], -line["iteration"]
