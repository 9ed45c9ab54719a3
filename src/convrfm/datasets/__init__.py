"""Images to learn from: generated tasks, folders, arrays and other libraries' data sets."""

from .collection import find_data_set
from .image_arrays import check_images, check_known, check_labels, check_unmasked
from .image_data import ImageData
from .loading import load
from .local_signal import bars, noisy_digits, star
from .prediction import load_for_prediction
from .preprocessing import Preprocessing

__all__ = [
    "ImageData",
    "Preprocessing",
    "bars",
    "check_images",
    "check_known",
    "check_labels",
    "check_unmasked",
    "find_data_set",
    "load",
    "load_for_prediction",
    "noisy_digits",
    "star",
]
