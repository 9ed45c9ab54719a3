"""How long the stages of a computation take."""

import time


class Stopwatch:
    """Seconds of one stage after another: each lasts until the next begins."""

    def __init__(self) -> None:
        self._begun: list[tuple[str, float]] = []

    def begin(self, stage: str) -> None:
        """The stage before ends, this one begins."""
        self._begun.append((stage, time.perf_counter()))

    def seconds(self) -> dict[str, float]:
        """Seconds of every stage; the last one lasts until now."""
        ends = [begun for _, begun in self._begun[1:]] + [time.perf_counter()]
        return {stage: end - begun for (stage, begun), end in zip(self._begun, ends, strict=True)}
