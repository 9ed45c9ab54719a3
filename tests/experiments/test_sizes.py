"""No scale of an experiment asks for more images than its data sets hold, and a pool that is too small says so."""

import numpy as np
import pytest

from convrfm.datasets.local_signal import bundled_digits
from convrfm.errors import InputError
from convrfm.experiments import fig3, fig4, fig6, fig9, fig10, fig11, fig12, scaled_images
from convrfm.experiments.experiment import Experiment
from convrfm.experiments.scale import Scale
from convrfm.experiments.small_data.images import DataSet

TRAINING = {"CIFAR-10": 50000, "GTSRB": 8000, "MNIST": 60000, "USPS": 7291, "PneumoniaMNIST": 2428}
WITH_LABELS = TRAINING | {"SVHN": 73257, "STL-10": 5000, "EMNIST": 112800, "QMNIST": 60000, "DTD": 3760, "PCAM": 262144}
HELD_OUT = 1000
DRAWN = [figure.EXPERIMENT for figure in (fig3, fig4, fig6, fig10, fig11, fig12)]


@pytest.mark.parametrize("scale", Scale)
@pytest.mark.parametrize("experiment", DRAWN, ids=lambda experiment: experiment.name)
def test_draws_leave_the_images_that_are_held_out(experiment: Experiment[fig6.Fig6Settings], scale: Scale) -> None:
    settings = experiment.settings[scale]
    n_test = getattr(settings, "n_test", scaled_images.N_TEST)
    digits = {"noisy-digits": len(bundled_digits()[1]) - n_test}
    there = {name: n - HELD_OUT for name, n in TRAINING.items()} | digits
    assert settings.n <= min(there[name] for name in settings.data_sets if name != "bars")


@pytest.mark.parametrize("scale", [Scale.LAPTOP, Scale.FULL])
def test_seeds_with_images_of_their_own_find_as_many(scale: Scale) -> None:
    settings = fig9.EXPERIMENT.settings[scale]
    assert settings.n_train * settings.seeds <= min(WITH_LABELS[name] for name in settings.data_sets)


def test_more_training_images_than_the_pool_holds_are_refused() -> None:
    """Ten of twenty are held out."""
    data = DataSet("tiny", lambda part: (np.zeros((20, 1, 2, 2), np.uint8), np.arange(20) % 2))
    assert len(data.training_images(10, 0).y) == 10
    with pytest.raises(InputError, match=r"n must be at most 10, the images of tiny .* got n = 11"):
        data.training_images(11, 0)
