"""The tracker as a callback of Lightning, which need not be installed for anything else."""

from typing import Any

from ..errors import MissingDependencyError
from .tracker import Tracker


def lightning_callback(tracker: Tracker) -> Any:
    """A `lightning.pytorch.Callback` that updates a tracker as training begins and after every batch.

    Args:
        tracker: Whose network is the `LightningModule` in training, or a part of it; steps are the trainer's global
            steps, and only the process of global rank zero measures.

    Raises:
        MissingDependencyError: Without Lightning.
    """
    try:
        from lightning.pytorch import Callback
    except ImportError as error:
        raise MissingDependencyError("lightning_callback needs Lightning: pip install lightning.") from error

    class TrackerCallback(Callback):
        last: int | None = None

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            self._update(trainer)

        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            self._update(trainer)

        def _update(self, trainer: Any) -> None:
            if trainer.is_global_zero and trainer.global_step != self.last:  # batches may add up to one step
                self.last = trainer.global_step
                tracker.update(self.last)

    return TrackerCallback()
