"""The solver of a fit that is not finished, in the folder of its tiles: what it began with, it goes on with."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError
from ...storage.atomic import write_json
from ...storage.digests import digest
from ...storage.values import values_from
from ..given.training_set import TrainingSet
from ..learning.plan import Candidates
from ..solving.agop_in_parts import drop_sums
from ..solving.solver import Solver
from ..solving.solver_files import solver_from_file


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
        """Within it the folder tells the solver, and afterwards where an exception left something to go on from there.

        Raises:
            InputError: if the folder cannot be written.
        """
        folder = self.folder
        if folder is None:
            yield
            return
        is_new, finished = not folder.exists(), False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_json(self._file(folder), solver.to_file())
        except OSError as error:
            raise InputError(f"cannot write {folder}: {error}. Choose another tile_folder.") from error
        try:
            yield
            finished = True
        finally:
            with suppress(OSError):  # another process may have taken the folder away: the fit, or its own error, stays
                self._leave(folder, finished=finished, is_new=is_new)

    def complete(self) -> None:
        """All rounds are there: what a fit that goes on would need of them is taken away."""
        if self.folder is not None:
            with suppress(OSError):
                drop_sums(self.folder)

    def _leave(self, folder: Path, *, finished: bool, is_new: bool) -> None:
        """Take away what nobody needs to go on."""
        file = self._file(folder)
        if finished or all(path == file for path in folder.iterdir()):
            file.unlink(missing_ok=True)
        if is_new and not any(folder.iterdir()):
            folder.rmdir()

    def _file(self, folder: Path) -> Path:
        return folder / f"begun-{self.of[:16]}.json"


def begun_fit(folder: str | None, candidates: Candidates, given: TrainingSet) -> BegunFit:
    """The fit of these to a training set, which goes on from this folder."""
    if folder is None:
        return BegunFit(None, "")
    return BegunFit(Path(folder), digest({"candidates": repr(candidates), "given": given.digest}, {}))
