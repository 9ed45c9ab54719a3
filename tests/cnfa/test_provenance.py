"""What a value comes from follows it, and dies with it."""

import torch

from convrfm.cnfa.provenance import WEIGHTS, Provenance


def test_a_constant_comes_from_nothing_wherever_it_lies() -> None:
    """Also where the allocator gives it the place of a value of the weights that is gone."""
    provenance = Provenance(lambda operands, packed: None)
    weight, reused = torch.ones(3), 0
    provenance.mark(weight, WEIGHTS)
    with provenance:
        for _ in range(50):
            product = weight * 2
            assert provenance.origin(product) == WEIGHTS
            place = product.untyped_storage()._cdata
            del product
            constant = torch.tensor([1.0, 2.0, 3.0])
            reused += constant.untyped_storage()._cdata == place
            assert provenance.origin(constant) == 0
    assert reused
