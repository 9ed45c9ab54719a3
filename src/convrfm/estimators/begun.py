"""The solver of a fit that is not finished, in the folder of its tiles: what it began with, it goes on with."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..storage.atomic import write_json
from ..storage.digests import digest
from ..storage.values import values_from
from .iterative import solver_from_file
from .plan import Plan
from .solver import Solver
from .training_set import TrainingSet


@dataclass(frozen=True)
class BegunFit:
    """What a fit has settled before its first round is finished: with "auto" the memory that was free decided, or a draw.

    Attributes:
        folder: that interrupted fits go on from; None for none.
        of: tells the fit from others.
    """

    folder: Path | None
    of: str

    @property
    def solver(self) -> Solver | None:
        """That of the fit, where it was interrupted."""
        if self.folder is None:
            return None
        try:
            return solver_from_file(values_from(self._file(self.folder).read_text(encoding="utf-8")))
        except (OSError, ValueError, LookupError, TypeError):  # there is none, or it is damaged
            return None

    @contextmanager
    def under_way(self, solver: Solver) -> Iterator[None]:
        """Within it the folder tells the solver, and afterwards where an exception left something to go on from there."""
        folder = self.folder
        if folder is None:
            yield
            return
        file, is_new, finished = self._file(folder), not folder.exists(), False
        folder.mkdir(parents=True, exist_ok=True)
        write_json(file, solver.to_file())
        try:
            yield
            finished = True
        finally:
            if finished or all(path == file for path in folder.iterdir()):
                file.unlink(missing_ok=True)
            if is_new and not any(folder.iterdir()):
                folder.rmdir()

    def _file(self, folder: Path) -> Path:
        return folder / f"begun-{self.of[:16]}.json"


def begun_fit(folder: str | None, plan: Plan, given: TrainingSet) -> BegunFit:
    """The fit of a plan to a training set, which goes on from this folder."""
    if folder is None:
        return BegunFit(None, "")
    return BegunFit(Path(folder), digest({"candidates": repr(plan.candidates), "given": given.digest}, {}))
