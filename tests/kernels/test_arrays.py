"""Whatever memory an array lies in, its numbers are those that are computed with."""

import numpy as np
import pytest

from convrfm.errors import InputError
from convrfm.kernels import Gaussian

X = np.random.default_rng(0).standard_normal((3, 1, 5, 5))


@pytest.mark.parametrize("kind", [">f8", ">f4", "<f4"])
def test_the_order_of_bytes_changes_nothing(kind: str) -> None:
    kernel, x = Gaussian(3, 2.0), X.astype(kind)
    native = x.astype(x.dtype.newbyteorder("="))
    np.testing.assert_array_equal(kernel(x, x[:2]), kernel(native, native[:2]))
    metric = np.diag(np.arange(1.0, 10))
    found = kernel(x, feature_matrix=metric.astype(">f8"))
    np.testing.assert_array_equal(found, kernel(native, feature_matrix=metric))


def test_a_mask_is_never_lost() -> None:
    with pytest.raises(InputError, match="must not be masked"):
        Gaussian(3, 2.0)(np.ma.masked_greater(X, 1))
