"""Images to learn from: generated tasks, folders, arrays and other libraries' data sets."""

from convrfm.datasets.image_arrays import check_images, check_labels
from convrfm.datasets.loading import ImageData, load
from convrfm.datasets.local_signal import bars, noisy_digits, star
from convrfm.datasets.prediction import load_for_prediction
from convrfm.datasets.preprocessing import Preprocessing

__all__ = [
    "ImageData",
    "Preprocessing",
    "bars",
    "check_images",
    "check_labels",
    "load",
    "load_for_prediction",
    "noisy_digits",
    "star",
]
